//! Bytes to messages and back. Decoders check bounds before every read and never panic.

mod adv;
mod control;
mod frame;
mod net;
pub mod packet;
mod tunnel;

pub use adv::{
    Advertisement, Envelope, LinkAdv, LinkFlags, Neighbor, RouteAdv, RoutePrefix, SignedAdv, Stamp,
};
pub use control::{
    BucketSummary, ControlMessage, Digest, Flood, Goodbye, Hello, ObjectKey, ObjectKind, PathError,
    Request, Token,
};
pub use frame::{FrameError, decode_frame, encode_frame};
pub use tunnel::{
    ConnectReply, ConnectRequest, ConnectStatus, ResolveReply, ResolveRequest,
    STREAM_MESSAGE_LIMIT, StreamRequest, Target,
};
