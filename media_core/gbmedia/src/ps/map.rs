//! Program stream map, ISO/IEC 13818-1 2.5.4: which codec each stream id has.

/// Entries kept; a camera has two.
const MAX_STREAMS: usize = 8;

/// Hikvision's descriptors: company mark "HK".
const BASIC_DESCRIPTOR: u8 = 0x40;
const ENCRYPTION_DESCRIPTOR: u8 = 0x80;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MapEntry {
    pub stream_type: u8,
    pub stream_id: u8,
}

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StreamMap {
    pub entries: Vec<MapEntry>,
    /// Row 28: the lengths inside contradict each other.
    pub malformed: bool,
    /// Row 63: a descriptor of Hikvision says that the stream is encrypted.
    pub encrypted: bool,
}

impl StreamMap {
    /// `body` is what `program_stream_map_length` covers. That length is trusted, the ones inside are not
    /// and the CRC is not checked: devices send zero or garbage (row 28).
    pub fn parse(body: &[u8]) -> Self {
        let mut map = Self::default();
        let Some(head) = body.first_chunk::<4>() else {
            map.malformed = true;
            return map;
        };
        let end = body.len().saturating_sub(4).max(4);
        let info_size = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let info_end = 4 + info_size;
        let Some(size_at) = body.get(info_end..info_end + 2) else {
            map.malformed = true;
            return map;
        };
        map.encrypted = is_encrypted(&body[4..info_end]);
        let entries = info_end + 2;
        let claimed = entries + usize::from(u16::from_be_bytes([size_at[0], size_at[1]]));
        map.malformed = claimed != end;
        // Trust the outer length; without a CRC the entries may reach up to it.
        let end = if claimed <= body.len() && claimed > entries {
            claimed
        } else {
            end
        };
        map.read_entries(body.get(entries..end).unwrap_or_default());
        map
    }

    fn read_entries(&mut self, mut data: &[u8]) {
        while let Some((head, rest)) = data.split_first_chunk::<4>() {
            if self.entries.len() == MAX_STREAMS {
                return;
            }
            self.entries.push(MapEntry {
                stream_type: head[0],
                stream_id: head[1],
            });
            let size = usize::from(u16::from_be_bytes([head[2], head[3]]));
            let Some(behind) = rest.get(size..) else {
                self.malformed = true;
                return;
            };
            data = behind;
        }
    }

    pub fn stream_type(&self, stream_id: u8) -> Option<u8> {
        let entry = self
            .entries
            .iter()
            .find(|entry| entry.stream_id == stream_id);
        entry.map(|entry| entry.stream_type)
    }
}

/// Row 63: Hikvision's basic descriptor ends its time with three bits that name the encryption, 7 for
/// none; an encrypted stream has the encryption descriptor as well. Only both together are believed.
fn is_encrypted(mut descriptors: &[u8]) -> bool {
    let (mut by_basic, mut by_descriptor) = (false, false);
    while let Some(([tag, size], rest)) = descriptors.split_first_chunk::<2>() {
        let Some((body, behind)) = rest.split_at_checked(usize::from(*size)) else {
            break;
        };
        match *tag {
            BASIC_DESCRIPTOR if body.starts_with(b"HK") => {
                by_basic = body.get(9).is_some_and(|byte| byte & 7 != 7);
            }
            ENCRYPTION_DESCRIPTOR => by_descriptor = true,
            _ => {}
        }
        descriptors = behind;
    }
    by_basic && by_descriptor
}

#[cfg(test)]
mod tests {
    use super::*;

    const H264_G711A: [u8; 18] = [
        0xE1, 0xFF, 0, 0, 0, 8, 0x1B, 0xE0, 0, 0, 0x90, 0xC0, 0, 0, 0xB9, 0x28, 0x7F, 0x16,
    ];

    fn types(map: &StreamMap) -> (Option<u8>, Option<u8>) {
        (map.stream_type(0xE0), map.stream_type(0xC0))
    }

    #[test]
    fn the_map_of_the_standard_is_read() {
        let map = StreamMap::parse(&H264_G711A);
        assert_eq!(types(&map), (Some(0x1B), Some(0x90)));
        assert!(!map.malformed && !map.encrypted);
    }

    #[test]
    fn row_28_crc_and_inner_lengths_are_not_trusted() {
        let mut body = H264_G711A;
        body[14..].fill(0);
        assert_eq!(types(&StreamMap::parse(&body)), (Some(0x1B), Some(0x90)));
        for wrong in [0, 4, 99, 0xFFFF_u16] {
            body[4..6].copy_from_slice(&wrong.to_be_bytes());
            let map = StreamMap::parse(&body);
            assert_eq!(map.stream_type(0xE0), Some(0x1B), "{wrong}");
            assert!(map.malformed, "{wrong}");
        }
    }

    #[test]
    fn row_28_a_descriptor_that_overruns_keeps_its_stream() {
        let mut body = H264_G711A;
        body[13] = 200;
        let map = StreamMap::parse(&body);
        assert_eq!(types(&map), (Some(0x1B), Some(0x90)));
        assert!(map.malformed);
        for length in 0..body.len() {
            StreamMap::parse(&body[..length]);
        }
    }

    #[test]
    fn row_63_both_descriptors_of_hikvision_tell_encryption() {
        let basic = |encryption: u8| {
            let mut bytes = vec![BASIC_DESCRIPTOR, 14];
            bytes.extend_from_slice(b"HK\x00\x01\x18\x10\x00\x00\x00");
            bytes.extend_from_slice(&[0xF8 | encryption, 0, 0, 0, 0]);
            bytes
        };
        let with = |descriptors: Vec<u8>| {
            let mut body = vec![0xE1, 0xFF, 0, descriptors.len() as u8];
            body.extend_from_slice(&descriptors);
            body.extend_from_slice(&[0, 4, 0x1B, 0xE0, 0, 0, 0, 0, 0, 0]);
            StreamMap::parse(&body)
        };
        let encryption = [ENCRYPTION_DESCRIPTOR, 2, 0, 0];
        assert!(with([basic(1), encryption.to_vec()].concat()).encrypted);
        assert!(!with([basic(7), encryption.to_vec()].concat()).encrypted);
        assert!(!with(basic(1)).encrypted);
        assert_eq!(with(basic(1)).stream_type(0xE0), Some(0x1B));
    }
}
