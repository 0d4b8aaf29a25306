//! What the end-to-end benchmark is made of.

pub mod bare_loop;
pub mod contest;
pub mod core_pass;
pub mod filled_topics;
pub mod process;
pub mod replayed_file;
pub mod spread;
pub mod work;
