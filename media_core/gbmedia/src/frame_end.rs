//! Foretells that a frame is complete, so that it need not wait for the next one (40 ms at 25 fps).
//!
//! Neither the marker bit nor the end of a PES says so reliably (rows 11, 35, 38). Each sign is watched
//! first and trusted only after it was right for a while, and never again once it was wrong too often.

/// Right this often in a row before a sign is trusted.
const PROOF: u32 = 8;
/// Wrong this often and it is never trusted again.
const MAX_MISTAKES: u32 = 4;

/// One kind of sign.
#[derive(Default, Debug)]
pub struct Sign {
    right: u32,
    mistakes: u32,
    /// The sign stood at the present end of the frame.
    standing: bool,
}

impl Sign {
    /// The sign was given; true when the frame may be taken as complete.
    pub fn give(&mut self) -> bool {
        self.standing = true;
        self.mistakes < MAX_MISTAKES && self.right >= PROOF << self.mistakes
    }

    /// More of the same frame came. True when the sign had been given: it was wrong.
    pub fn frame_goes_on(&mut self) -> bool {
        let wrong = std::mem::take(&mut self.standing);
        if wrong {
            if self.right >= PROOF << self.mistakes {
                self.mistakes += 1;
            }
            self.right = 0;
        }
        wrong
    }

    /// The frame was taken as complete by this sign, and more of it came.
    pub fn mistaken(&mut self) {
        self.mistakes += 1;
        self.right = 0;
        self.standing = false;
    }

    /// The next frame began: the sign was right if it stood.
    pub fn frame_ended(&mut self) {
        if std::mem::take(&mut self.standing) {
            self.right = self.right.saturating_add(1);
        }
    }

    pub fn is_standing(&self) -> bool {
        self.standing
    }

    /// Forget a sign given before a loss.
    pub fn clear(&mut self) {
        self.standing = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_is_trusted_after_proof_and_loses_trust_by_mistakes() {
        let mut sign = Sign::default();
        for _ in 0..PROOF {
            assert!(!sign.give());
            sign.frame_ended();
        }
        assert!(sign.give());
        assert!(sign.frame_goes_on());
        for _ in 0..2 * PROOF {
            assert!(!sign.give());
            sign.frame_ended();
        }
        assert!(sign.give());
    }

    #[test]
    fn row_11_a_marker_on_every_packet_is_never_trusted() {
        let mut sign = Sign::default();
        for _ in 0..100 {
            for _ in 0..10 {
                assert!(!sign.give());
                sign.frame_goes_on();
            }
            sign.give();
            sign.frame_ended();
        }
    }
}
