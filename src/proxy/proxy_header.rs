//! What a load balancer says of a connection before anything else: whose it is (PROXY protocol, versions 1 and 2).

use std::io::{self, ErrorKind};
use std::net::IpAddr;

use proxy_header::{Error, ParseConfig, Protocol, ProxyHeader};

use super::transport::Socket;

/// Version 2 may carry notes of any kind behind the addresses; nobody writes so many.
const MOST_BYTES: usize = 4096;
/// No line of version 1 is longer, its end included. The parser sees that only as long as the end has not come, so what a line is
/// taken for would depend on how it came.
const MOST_V1_BYTES: usize = 107;

/// Read a header, and take it off.
///
/// # Errors
/// When the connection fails, or what comes is no header: `InvalidData`.
pub(super) async fn read(socket: &mut Socket) -> io::Result<Option<IpAddr>> {
    let (bytes, address) = socket.read_ahead(parse).await??;
    socket.skip(bytes);
    Ok(address)
}

/// How long the header is and whose the connection is, when all of it is there. Nobody's but the load balancer's own where it
/// looks after us (`LOCAL`), or does not know.
pub(super) fn parse(first: &[u8]) -> Option<io::Result<(usize, Option<IpAddr>)>> {
    let told = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    let known = first.len().min(V1.len());
    // The parser does not look at what stands behind the word.
    if first.first() == Some(&b'P') && first[..known] != V1[..known] {
        return Some(Err(ErrorKind::InvalidData.into()));
    }
    let most = if first.first() == Some(&b'P') { MOST_V1_BYTES } else { MOST_BYTES };
    match ProxyHeader::parse(first, told) {
        Ok((header, bytes)) if bytes <= most => Some(match header.proxied_address() {
            Some(told) if told.protocol != Protocol::Stream => Err(ErrorKind::InvalidData.into()),
            told => Ok((bytes, told.map(|told| told.source.ip().to_canonical()))),
        }),
        Err(Error::BufferTooShort) if first.len() < MOST_BYTES => None,
        Ok(_) | Err(_) => Some(Err(ErrorKind::InvalidData.into())),
    }
}

const V1: &[u8; 6] = b"PROXY ";

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of version 2 with this command, family and content.
    fn v2(command: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&b"\r\n\r\n\0\r\nQUIT\n"[..], &[command, family], &length, content].concat()
    }

    fn ipv6() -> Vec<u8> {
        let mut content = vec![0; 36];
        content[..4].copy_from_slice(&[0x20, 0x01, 0x0d, 0xb8]);
        content[15] = 7;
        // A note behind the addresses.
        content.extend([4, 0, 3, 1, 2, 3]);
        content
    }

    #[test]
    fn headers_of_both_versions_tell_whose_the_connection_is() {
        let v4 = [203, 0, 113, 9, 10, 0, 0, 1, 1, 1, 0, 80];
        let mapped = [&[0; 10][..], &[255, 255, 203, 0, 113, 9], &[0; 20]].concat();
        for (header, whose) in [
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 5 80\r\n".to_vec(), Some("203.0.113.9")),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 65535 443\r\n".to_vec(), Some("2001:db8::7")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ff::1 ff::2 1 2\r\n".to_vec(), None),
            (v2(0x21, 0x11, &v4), Some("203.0.113.9")),
            (v2(0x21, 0x21, &ipv6()), Some("2001:db8::7")),
            (v2(0x21, 0x21, &mapped), Some("203.0.113.9")),
            (v2(0x20, 0x11, &v4), None),
            (v2(0x20, 0, &[]), None),
            (v2(0x21, 0x31, &[1; 216]), None),
        ] {
            let whose = whose.map(|address| address.parse().unwrap());
            let told = parse(&[&header[..], b"GET /"].concat()).expect("all of it is there").expect("it is sound");
            assert_eq!(told, (header.len(), whose), "{:?}", String::from_utf8_lossy(&header));
            // Until all of it is there nothing is known.
            assert!((0..header.len()).all(|end| parse(&header[..end]).is_none()), "{header:?}");
        }
    }

    #[test]
    fn what_is_no_header_is_told_as_soon_as_it_can_be() {
        for said in [
            &b"GET / HTTP/1.1\r\n"[..],
            b"PRI * HTTP/2.0\r\n",
            b"POST / HTTP/1.1\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 5 80 \r\n",
            b"PROXY TCP4 2001:db8::7 10.0.0.1 5 80\r\n",
            b"PROXY TCP4 203.0.113.9 10.0.0.1 5 99999\r\n",
            b"PROXY-TCP4 203.0.113.9 10.0.0.1 5 80\r\n",
            b"PROXY UDP4 203.0.113.9 10.0.0.1 5 80\r\n",
            format!("PROXY UNKNOWN {}\r\n", "f".repeat(92)).as_bytes(),
            b"\x16\x03\x01\x02\0\x01\0",
            &v2(0x31, 0x11, &[0; 12]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x12, &[0; 12]),
            &v2(0x21, 0x11, &[0; 5000]),
        ] {
            let told = parse(&[said, b"GET / HTTP/1.1\r\n"].concat()).expect("it can be told");
            assert_eq!(told.expect_err("it is none").kind(), ErrorKind::InvalidData, "{said:?}");
        }
    }
}
