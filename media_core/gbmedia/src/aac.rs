//! ADTS, ISO/IEC 13818-7 6.2, and the AudioSpecificConfig of ISO/IEC 14496-3 1.6.2.1.

use bytes::Bytes;

/// In Hz, by `sampling_frequency_index`.
const SAMPLE_RATES: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// Samples of one raw data block.
pub const SAMPLES_PER_BLOCK: u32 = 1024;

/// Bytes without and with the CRC.
const HEADER_SIZE: usize = 7;
const HEADER_WITH_CRC: usize = 9;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AdtsHeader {
    pub header_size: usize,
    /// With the header.
    pub frame_size: usize,
    /// `audioObjectType`: profile + 1.
    pub object_type: u8,
    rate_index: u8,
    pub channels: u8,
    /// Raw data blocks in the frame, 1-4.
    pub blocks: u32,
}

impl AdtsHeader {
    /// `None` when there is no ADTS header at the beginning of `data`.
    pub fn parse(data: &[u8]) -> Option<Self> {
        let head = data.first_chunk::<HEADER_SIZE>()?;
        // Sync word, layer 0.
        if head[0] != 0xFF || head[1] & 0xF6 != 0xF0 {
            return None;
        }
        let rate_index = head[2] >> 2 & 0x0F;
        let header_size = if head[1] & 1 == 1 {
            HEADER_SIZE
        } else {
            HEADER_WITH_CRC
        };
        let frame_size =
            usize::from(head[3] & 3) << 11 | usize::from(head[4]) << 3 | usize::from(head[5]) >> 5;
        if usize::from(rate_index) >= SAMPLE_RATES.len() || frame_size <= header_size {
            return None;
        }
        Some(Self {
            header_size,
            frame_size,
            object_type: (head[2] >> 6) + 1,
            rate_index,
            channels: (head[2] & 1) << 2 | head[3] >> 6,
            blocks: u32::from(head[6] & 3) + 1,
        })
    }

    pub fn sample_rate(&self) -> u32 {
        SAMPLE_RATES[usize::from(self.rate_index)]
    }

    pub fn audio_specific_config(&self) -> Bytes {
        Bytes::copy_from_slice(&[
            self.object_type << 3 | self.rate_index >> 1,
            self.rate_index << 7 | self.channels << 3,
        ])
    }

    /// Ticks of 90 kHz that the frame lasts.
    pub fn duration(&self) -> i64 {
        i64::from(self.blocks * SAMPLES_PER_BLOCK) * 90_000 / i64::from(self.sample_rate())
    }
}

/// Does `data` consist of ADTS frames, the last perhaps cut off? The number of whole ones.
pub fn count_frames(mut data: &[u8]) -> usize {
    let mut frames = 0;
    while let Some(header) = AdtsHeader::parse(data) {
        if header.frame_size > data.len() {
            break;
        }
        frames += 1;
        data = &data[header.frame_size..];
    }
    if data.is_empty() || AdtsHeader::parse(data).is_some() {
        frames
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AAC-LC, 16 kHz, mono, 11 bytes of which 7 are header.
    const FRAME: [u8; 11] = [0xFF, 0xF1, 0x60, 0x40, 0x01, 0x7F, 0xFC, 1, 2, 3, 4];

    #[test]
    fn an_adts_header_is_read() {
        let header = AdtsHeader::parse(&FRAME).unwrap();
        assert_eq!((header.header_size, header.frame_size), (7, 11));
        assert_eq!((header.sample_rate(), header.channels), (16_000, 1));
        assert_eq!(header.audio_specific_config()[..], [0x14, 0x08]);
        assert_eq!(header.duration(), 5760);
    }

    #[test]
    fn noise_is_no_adts() {
        assert_eq!(AdtsHeader::parse(&[0xFF; 12]), None);
        assert_eq!(AdtsHeader::parse(&FRAME[..6]), None);
        assert_eq!(count_frames(&[0xD5; 160]), 0);
        assert_eq!(
            count_frames(&[&FRAME[..], &FRAME[..], &FRAME[..8]].concat()),
            2
        );
    }
}
