//! The Unix socket for the operator on this host: no other user can open it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};

/// For its owner alone.
const MODE: u32 = 0o600;

/// A bound socket; its file goes with it.
#[derive(Debug)]
pub(super) struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalSocket {
    /// Binds `path`, in place of what a process that is gone left there. Any other file there, or a
    /// live agent behind it, is an error.
    pub(super) fn bind(path: &Path) -> io::Result<Self> {
        clear(path)?;
        let listener = UnixListener::bind(path)?;
        // From here on the file is ours to remove.
        let socket = Self {
            listener,
            path: path.to_owned(),
        };
        fs::set_permissions(path, Permissions::from_mode(MODE))?;
        Ok(socket)
    }

    /// The next connection of this agent's user or of root. Who opened the socket before its mode was
    /// set, or was handed it by somebody, gets nothing.
    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            let user = stream.peer_cred()?.uid();
            if user == 0 || user == geteuid().as_raw() {
                return Ok(stream);
            }
        }
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        // It may have been removed by hand.
        let _ = fs::remove_file(&self.path);
    }
}

/// Removes a socket that nobody listens on.
fn clear(path: &Path) -> io::Result<()> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if !found.file_type().is_socket() {
        let why = "a file that is no socket is there; move it away";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    match BlockingStream::connect(path) {
        Ok(_) => {
            let why = "another process listens there; is this agent running already?";
            Err(io::Error::new(io::ErrorKind::AddrInUse, why))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_socket_is_for_its_owner_and_goes_with_the_agent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        let socket = LocalSocket::bind(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let client = UnixStream::connect(&path).await.unwrap();
        socket.accept().await.unwrap();
        drop((client, socket));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_a_dead_process_left_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("api.sock");
        // Closed without its file being removed.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let socket = LocalSocket::bind(&path).unwrap();
        let error = LocalSocket::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        assert!(path.exists(), "the live one keeps its file");
        drop(socket);
        fs::write(&path, "precious").unwrap();
        let error = LocalSocket::bind(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"precious");
    }
}
