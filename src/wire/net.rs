//! CBOR forms of addresses and prefixes: an address is 4 or 16 bytes, big endian, and in canonical
//! form. Others are refused: no agent says them, and behind a decoder nobody looks for them.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use minicbor::decode::{Decoder, Error as DecodeError};
use minicbor::encode::{Encoder, Error as EncodeError, Write};
use minicbor::{Decode, Encode};

use super::adv::RoutePrefix;
use crate::canonical;

fn put_addr<W: Write>(e: &mut Encoder<W>, addr: IpAddr) -> Result<(), EncodeError<W::Error>> {
    match addr {
        IpAddr::V4(v4) => e.bytes(&v4.octets())?.ok(),
        IpAddr::V6(v6) => e.bytes(&v6.octets())?.ok(),
    }
}

fn take_addr(d: &mut Decoder<'_>) -> Result<IpAddr, DecodeError> {
    let addr = take_any_addr(d)?;
    if canonical::is_address(addr) {
        Ok(addr)
    } else {
        Err(DecodeError::message("an IPv4 address in IPv6 form"))
    }
}

fn take_any_addr(d: &mut Decoder<'_>) -> Result<IpAddr, DecodeError> {
    let bytes = d.bytes()?;
    if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        Ok(IpAddr::from(v4))
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        Ok(IpAddr::from(v6))
    } else {
        Err(DecodeError::message("an address has 4 or 16 bytes"))
    }
}

fn take_array(d: &mut Decoder<'_>, length: u64) -> Result<(), DecodeError> {
    match d.array()? {
        Some(n) if n == length => Ok(()),
        _ => Err(DecodeError::message("array of the wrong length")),
    }
}

impl<C> Encode<C> for RoutePrefix {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), EncodeError<W::Error>> {
        e.array(3)?;
        put_addr(e, self.prefix.addr())?;
        e.u8(self.prefix.prefix_len())?.u32(self.metric)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for RoutePrefix {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, DecodeError> {
        take_array(d, 3)?;
        // Of a prefix, the length says what form it has.
        let addr = take_any_addr(d)?;
        let prefix = IpNet::new(addr, d.u8()?)
            .map_err(|_| DecodeError::message("prefix length out of range"))?;
        let prefix = canonical::check_prefix(prefix)
            .map_err(|_| DecodeError::message("prefix is not in canonical form"))?;
        Ok(Self {
            prefix,
            metric: d.u32()?,
        })
    }
}

pub(super) mod socket_addr {
    use super::*;

    pub(in crate::wire) fn encode<C, W: Write>(
        addr: &SocketAddr,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?;
        put_addr(e, addr.ip().to_canonical())?;
        e.u16(addr.port())?.ok()
    }

    pub(in crate::wire) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<SocketAddr, DecodeError> {
        take_array(d, 2)?;
        Ok(SocketAddr::new(take_addr(d)?, d.u16()?))
    }
}

pub(super) mod optional_socket_addr {
    use super::*;

    pub(in crate::wire) fn encode<C, W: Write>(
        addr: &Option<SocketAddr>,
        e: &mut Encoder<W>,
        ctx: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        match addr {
            Some(addr) => socket_addr::encode(addr, e, ctx),
            None => e.null()?.ok(),
        }
    }

    pub(in crate::wire) fn decode<C>(
        d: &mut Decoder<'_>,
        ctx: &mut C,
    ) -> Result<Option<SocketAddr>, DecodeError> {
        if d.datatype()? == minicbor::data::Type::Null {
            d.null()?;
            return Ok(None);
        }
        socket_addr::decode(d, ctx).map(Some)
    }
}

pub(super) mod addresses {
    use super::*;

    pub(in crate::wire) fn encode<C, W: Write>(
        addresses: &[IpAddr],
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), EncodeError<W::Error>> {
        e.array(addresses.len() as u64)?;
        addresses
            .iter()
            .try_for_each(|addr| put_addr(e, addr.to_canonical()))
    }

    pub(in crate::wire) fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<Vec<IpAddr>, DecodeError> {
        let Some(length) = d.array()? else {
            return Err(DecodeError::message("array of unknown length"));
        };
        (0..length).map(|_| take_addr(d)).collect()
    }
}
