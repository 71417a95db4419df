//! The commands.

pub mod cert;
mod cert_info;
pub mod hash;
pub mod init;
