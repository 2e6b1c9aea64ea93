//! MPEG-2 program stream, ISO/IEC 13818-1 2.5, as annex C of GB/T 28181 uses it.

pub mod demux;
pub mod map;
pub mod mux;

/// The last byte of a start code `00 00 01 nn`.
pub mod stream_id {
    pub const PROGRAM_END: u8 = 0xB9;
    pub const PACK: u8 = 0xBA;
    pub const SYSTEM: u8 = 0xBB;
    pub const MAP: u8 = 0xBC;
    pub const PRIVATE_1: u8 = 0xBD;
    pub const PADDING: u8 = 0xBE;

    pub fn is_video(id: u8) -> bool {
        id & 0xF0 == 0xE0
    }

    pub fn is_audio(id: u8) -> bool {
        id & 0xE0 == 0xC0
    }
}
