//! Authentication by name and password (RFC 1929).

use std::io;
use std::net::IpAddr;

use fast_socks5::server::{AuthMethod, AuthMethodSuccessState};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::error::HandshakeError;
use crate::identity::{Login, Verdict};

/// Version of the username/password sub-negotiation (RFC 1929).
const PASSWORD_VERSION: u8 = 1;
const PASSWORD_ACCEPTED: u8 = 0;
const PASSWORD_REFUSED: u8 = 1;

/// The method. Our own, because the library writes passwords to its debug log.
#[derive(Clone, Copy)]
pub(super) struct Password;

pub(super) struct PasswordStarted<T>(T);

struct PasswordDone<T>(T);

impl<T> AuthMethod<T> for Password {
    type StartingState = PasswordStarted<T>;

    fn method_id(self) -> u8 {
        fast_socks5::consts::SOCKS5_AUTH_METHOD_PASSWORD
    }

    fn new(self, inner: T) -> Self::StartingState {
        PasswordStarted(inner)
    }
}

impl<T> AuthMethodSuccessState<T> for PasswordDone<T> {
    fn into_inner(self) -> T {
        self.0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> PasswordStarted<&mut S> {
    /// The name of the user that the client proved to be.
    pub(super) async fn authenticate(
        self,
        users: &Login,
        client: IpAddr,
    ) -> Result<String, HandshakeError> {
        let tcp = self.0;
        let mut version = [0];
        tcp.read_exact(&mut version).await?;
        if version != [PASSWORD_VERSION] {
            return Err(HandshakeError::BadPasswordMessage);
        }
        let username = read_counted(tcp).await?;
        let password = read_counted(tcp).await?;
        let refused = match users.verify(client, &username, password).await {
            Verdict::Valid => None,
            Verdict::Wrong => Some(HandshakeError::Refused),
            Verdict::TooOften => Some(HandshakeError::TooOften),
        };
        if let Some(refused) = refused {
            tcp.write_all(&[PASSWORD_VERSION, PASSWORD_REFUSED]).await?;
            return Err(refused);
        }
        tcp.write_all(&[PASSWORD_VERSION, PASSWORD_ACCEPTED])
            .await?;
        PasswordDone(tcp).finish_auth();
        // The configuration's, which is text.
        Ok(String::from_utf8_lossy(&username).into_owned())
    }
}

/// A length byte and as many bytes.
async fn read_counted<S: AsyncRead + Unpin>(tcp: &mut S) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(tcp.read_u8().await?)];
    tcp.read_exact(&mut bytes).await?;
    Ok(bytes)
}
