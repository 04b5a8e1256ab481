//! What balancers send, and what they must not.

use proxy_header::{SslInfo, Tlv};
use tokio::io::{AsyncWriteExt, duplex};

use super::*;

const CLIENT: &str = "198.51.100.7:40000";
const SERVER: &str = "203.0.113.1:995";

fn policy() -> ProxyPolicy {
    ProxyPolicy {
        trusted: vec!["127.0.0.0/8".parse().unwrap()],
        ..ProxyPolicy::default()
    }
}

fn balancer() -> IpAddr {
    "127.0.0.1".parse().unwrap()
}

fn passed_on() -> ProxyInfo {
    ProxyInfo::Client {
        source: CLIENT.parse().unwrap(),
        destination: SERVER.parse().unwrap(),
        tls_by_proxy: false,
        sni: None,
    }
}

fn v2(tlvs: Vec<Tlv<'_>>) -> Vec<u8> {
    let address = ProxiedAddress::stream(CLIENT.parse().unwrap(), SERVER.parse().unwrap());
    let mut header = Vec::new();
    ProxyHeader::with_tlvs(Some(address), tlvs)
        .encode_v2(&mut header)
        .unwrap();
    header
}

/// A version 2 header with any command, family and payload.
fn raw_v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = V2_START.to_vec();
    header.extend([command, family]);
    header.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
    header.extend(payload);
    header
}

/// Sends `header` and `QUIT`, returns what was understood and what was left to read.
async fn receive(header: &[u8]) -> (Result<ProxyInfo, ProxyError>, Vec<u8>) {
    let (mut theirs, mut ours) = duplex(128 * 1024);
    theirs.write_all(header).await.unwrap();
    theirs.write_all(b"QUIT\r\n").await.unwrap();
    drop(theirs);
    let info = read_proxy_header(&mut ours, balancer(), &policy()).await;
    let mut rest = Vec::new();
    ours.read_to_end(&mut rest).await.unwrap();
    (info, rest)
}

#[tokio::test]
async fn v1_and_v2_name_the_client_and_leave_the_rest_unread() {
    let v1 = b"PROXY TCP4 198.51.100.7 203.0.113.1 40000 995\r\n".to_vec();
    for header in [v1, v2(vec![])] {
        assert_eq!(receive(&header).await, (Ok(passed_on()), b"QUIT\r\n".to_vec()));
    }
}

#[tokio::test]
async fn header_split_at_every_octet_is_understood() {
    for header in [
        b"PROXY TCP4 198.51.100.7 203.0.113.1 40000 995\r\n".to_vec(),
        v2(vec![]),
    ] {
        let (mut theirs, mut ours) = duplex(1);
        let sender = tokio::spawn(async move {
            theirs.write_all(&header).await.unwrap();
            theirs
        });
        assert_eq!(
            read_proxy_header(&mut ours, balancer(), &policy()).await,
            Ok(passed_on())
        );
        sender.await.unwrap();
    }
}

#[tokio::test]
async fn v1_over_ipv6_names_the_client() {
    let (info, _) = receive(b"PROXY TCP6 2001:db8::7 2001:db8::1 40000 995\r\n").await;
    let Ok(ProxyInfo::Client { source, .. }) = info else {
        panic!("{info:?}")
    };
    assert_eq!(source, "[2001:db8::7]:40000".parse().unwrap());
}

#[tokio::test]
async fn tls_and_server_name_of_the_balancer_are_told() {
    let header = v2(vec![
        Tlv::Authority("POP.Example.".into()),
        Tlv::Ssl(SslInfo::new(true, false, false, 0)),
    ]);
    let (info, rest) = receive(&header).await;
    let Ok(ProxyInfo::Client {
        tls_by_proxy, sni, ..
    }) = info
    else {
        panic!("{info:?}")
    };
    assert!(tls_by_proxy);
    assert_eq!(sni.as_deref(), Some("pop.example"));
    assert_eq!(rest, b"QUIT\r\n");
}

#[tokio::test]
async fn unknown_and_local_are_health_checks() {
    let headers = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n".to_vec(),
        raw_v2(0x20, 0x00, &[]),
        raw_v2(0x20, 0x11, &[0; 12]),
        raw_v2(0x20, 0x31, &[0; 216]),
    ];
    for header in headers {
        assert_eq!(
            receive(&header).await,
            (Ok(ProxyInfo::HealthCheck), b"QUIT\r\n".to_vec()),
            "{header:?}"
        );
    }
}

#[tokio::test]
async fn bad_headers_close_the_connection() {
    let mut long_v1 = b"PROXY UNKNOWN ".to_vec();
    long_v1.extend([b'x'; 200]);
    long_v1.extend(b"\r\n");
    let cases: [(&str, Vec<u8>, ProxyError); 12] = [
        ("no header", b"CAPA\r\n".to_vec(), ProxyError::Missing),
        (
            "a TLS ClientHello",
            vec![22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 0, 0, 0, 0, 0],
            ProxyError::Missing,
        ),
        (
            "bare line feed",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n".to_vec(),
            ProxyError::Malformed,
        ),
        (
            "no addresses",
            b"PROXY TCP4 what is this about\r\n".to_vec(),
            ProxyError::Malformed,
        ),
        (
            "port out of range",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1 65536\r\n".to_vec(),
            ProxyError::Malformed,
        ),
        ("over-long line", long_v1, ProxyError::TooLong),
        (
            "64 KiB of fields",
            raw_v2(0x21, 0x11, &vec![0; 65535]),
            ProxyError::TooLong,
        ),
        ("AF_UNIX", raw_v2(0x21, 0x31, &[0; 216]), ProxyError::Malformed),
        ("datagrams", raw_v2(0x21, 0x12, &[0; 12]), ProxyError::Malformed),
        (
            "unspecified family",
            raw_v2(0x21, 0x00, &[]),
            ProxyError::Malformed,
        ),
        (
            "addresses cut short",
            raw_v2(0x21, 0x11, &[0; 4]),
            ProxyError::Malformed,
        ),
        (
            "unknown command",
            raw_v2(0x2f, 0x11, &[0; 12]),
            ProxyError::Malformed,
        ),
    ];
    for (name, header, expected) in cases {
        assert_eq!(receive(&header).await.0, Err(expected), "{name}");
    }
}

#[tokio::test]
async fn truncated_header_is_refused_at_every_length() {
    for header in [
        b"PROXY TCP4 198.51.100.7 203.0.113.1 40000 995\r\n".to_vec(),
        v2(vec![]),
    ] {
        for n in 0..header.len() {
            let info = read_proxy_header(&mut &header[..n], balancer(), &policy()).await;
            assert_eq!(info, Err(ProxyError::Closed), "cut after {n}");
        }
    }
}

#[tokio::test]
async fn peer_outside_the_trusted_networks_is_refused_with_and_without_header() {
    let stranger = "192.0.2.9".parse().unwrap();
    for sent in [v2(vec![]), b"QUIT\r\n".to_vec()] {
        let info = read_proxy_header(&mut &sent[..], stranger, &policy()).await;
        assert_eq!(info, Err(ProxyError::Untrusted));
    }
}

#[tokio::test]
async fn balancer_seen_through_a_mapped_address_is_trusted() {
    let mapped = "::ffff:127.0.0.1".parse().unwrap();
    assert_eq!(
        read_proxy_header(&mut &v2(vec![])[..], mapped, &policy()).await,
        Ok(passed_on())
    );
}

#[tokio::test]
async fn listener_without_balancer_reads_nothing() {
    let mut stream = &b"PROXY UNKNOWN\r\n"[..];
    let info = read_proxy_header(&mut stream, balancer(), &ProxyPolicy::default()).await;
    assert_eq!((info, stream.len()), (Ok(ProxyInfo::Direct), 15));
}

#[tokio::test(start_paused = true)]
async fn silence_is_cut_at_the_deadline() {
    let (_theirs, mut ours) = duplex(64);
    let start = tokio::time::Instant::now();
    let info = read_proxy_header(&mut ours, balancer(), &policy()).await;
    assert_eq!((info, start.elapsed().as_secs()), (Err(ProxyError::TimedOut), 5));
}
