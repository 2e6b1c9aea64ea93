//! The ingest against what devices really send: one test per row of the media quirk table, named after it.

mod audio_rows;
mod camera;
mod layouts;
mod ps_rows;
mod reference_sender;
mod robustness;
mod rtp_rows;
mod tcp_rows;
mod time_rows;
mod video_rows;
