//! Bits of parameter sets: exp-Golomb codes of ITU-T H.264 9.1 and H.265 9.2, behind emulation prevention.

/// Longer parameter sets are not read: real ones have less than 200 bytes.
const MAX_PARAMETER_SET: usize = 4096;

/// The RBSP of a NAL unit: `00 00 03` loses its third byte (H.264 7.4.1).
pub fn unescape(nal: &[u8]) -> Vec<u8> {
    let nal = &nal[..nal.len().min(MAX_PARAMETER_SET)];
    let mut bytes = Vec::with_capacity(nal.len());
    let mut zeros = 0;
    for &byte in nal {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

/// Reads from the highest bit down; `None` beyond the end.
pub struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Up to 32 bits.
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        let mut value = 0_u32;
        for _ in 0..count {
            let byte = *self.data.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    pub fn flag(&mut self) -> Option<bool> {
        Some(self.bits(1)? == 1)
    }

    pub fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.data.len() * 8).then_some(())
    }

    /// ue(v)
    pub fn unsigned(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.bits(zeros)?)
    }

    /// se(v)
    pub fn signed(&mut self) -> Option<i32> {
        let code = self.unsigned()?;
        let magnitude = i32::try_from(code.div_ceil(2)).ok()?;
        Some(if code % 2 == 1 { magnitude } else { -magnitude })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golomb_codes_as_in_table_9_2() {
        // 1 | 010 | 011 | 00100 | 00111 | padding
        let bytes = [0b1010_0110, 0b0100_0011, 0b1000_0000];
        let mut reader = BitReader::new(&bytes);
        let codes: Vec<_> = (0..5).map(|_| reader.unsigned().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 6]);
        let mut reader = BitReader::new(&bytes);
        let codes: Vec<_> = (0..5).map(|_| reader.signed().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -3]);
    }

    #[test]
    fn the_end_is_none_and_no_panic() {
        assert_eq!(BitReader::new(&[0; 8]).unsigned(), None);
        assert_eq!(BitReader::new(&[0xFF]).bits(9), None);
        assert_eq!(BitReader::new(&[0xFF]).skip(9), None);
    }

    #[test]
    fn emulation_prevention_is_taken_out() {
        assert_eq!(unescape(&[1, 0, 0, 3, 1, 0, 0, 3]), [1, 0, 0, 1, 0, 0]);
        assert_eq!(unescape(&[0, 0, 3, 3]), [0, 0, 3]);
    }
}
