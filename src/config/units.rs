//! Durations, sizes, addresses and networks as people write them.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use super::error::{Wrong, shown};

/// `250ms`, `1s`, `2m`, `1h`; more than nothing, at most a day.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let (number, unit) = number_and_unit(text);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(no_duration(text, number, unit)),
    };
    let Ok(number) = number.parse::<u64>() else { return Err(no_duration(text, number, unit)) };
    match number.checked_mul(millis) {
        Some(0) => Err(Wrong::new(format!("{} is no time at all", shown(text)), "write at least \"1ms\"")),
        Some(millis) if millis <= MOST_MILLIS => Ok(Duration::from_millis(millis)),
        _ => Err(Wrong::new(format!("{} is longer than a day", shown(text)), "write at most \"24h\"")),
    }
}

fn no_duration(text: &str, number: &str, unit: &str) -> Wrong {
    let unit = unit.trim();
    let meant = match unit.to_ascii_lowercase().as_str() {
        "ms" | "msec" | "millis" | "millisecond" | "milliseconds" => "ms",
        "s" | "sec" | "secs" | "second" | "seconds" => "s",
        "m" | "min" | "mins" | "minute" | "minutes" => "m",
        "h" | "hr" | "hour" | "hours" => "h",
        _ => "",
    };
    match (number, unit, meant) {
        ("", ..) | (_, _, "") if !unit.is_empty() || number.is_empty() => Wrong::new(
            format!("{} is not a duration", shown(text)),
            "write a whole number and one of ms, s, m, h, such as \"250ms\" or \"90s\"",
        ),
        (_, "", _) => {
            Wrong::new(format!("`{text}` has no unit"), format!("write \"{number}ms\", \"{number}s\" or \"{number}m\""))
        }
        _ => Wrong::new(format!("{} is not a duration", shown(text)), format!("write \"{number}{meant}\"")),
    }
}

/// `512B`, `64KiB`, `1MiB`, `1GiB`; more than nothing.
pub(super) fn size(text: &str) -> Result<u64, Wrong> {
    let (number, unit) = number_and_unit(text);
    let bytes = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(no_size(text, number, unit)),
    };
    let Ok(number) = number.parse::<u64>() else { return Err(no_size(text, number, unit)) };
    match number.checked_mul(bytes) {
        Some(0) => Err(Wrong::new(format!("{} is no room at all", shown(text)), "write at least \"1B\"")),
        Some(bytes) if bytes <= MOST_BYTES => Ok(bytes),
        _ => Err(Wrong::new(format!("{} is more than 1024 GiB", shown(text)), "write a size that fits in memory")),
    }
}

fn no_size(text: &str, number: &str, unit: &str) -> Wrong {
    let unit = unit.trim();
    let meant = match unit.to_ascii_lowercase().as_str() {
        "b" | "byte" | "bytes" => "B",
        "k" | "kb" | "kib" => "KiB",
        "m" | "mb" | "mib" => "MiB",
        "g" | "gb" | "gib" => "GiB",
        _ => "",
    };
    match (number, unit, meant) {
        ("", ..) | (_, _, "") if !unit.is_empty() || number.is_empty() => Wrong::new(
            format!("{} is not a size", shown(text)),
            "write a whole number and one of B, KiB, MiB, GiB, such as \"64KiB\"",
        ),
        (_, "", _) => Wrong::new(format!("`{text}` has no unit"), format!("write \"{number}B\"{}", in_kib(number))),
        _ => Wrong::new(
            format!("{} is not a size", shown(text)),
            format!("write \"{number}{meant}\" (a KiB is 1024 bytes)"),
        ),
    }
}

/// Most numbers of bytes that are written without a unit are a round number of something.
fn in_kib(number: &str) -> String {
    match number.parse::<u64>() {
        Ok(bytes) if bytes > 0 && bytes.is_multiple_of(1 << 20) => format!(", which is \"{}MiB\"", bytes >> 20),
        Ok(bytes) if bytes > 0 && bytes.is_multiple_of(1 << 10) => format!(", which is \"{}KiB\"", bytes >> 10),
        _ => String::new(),
    }
}

fn number_and_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// An IP address and a port to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, Wrong> {
    text.parse().map_err(|_| {
        let what = format!("{} is not an address to listen on", shown(text));
        Wrong::new(what, format!("write an IP address and a port, such as \"{}\"", address_meant(text)))
    })
}

fn address_meant(text: &str) -> String {
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok());
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    match (host.parse::<IpAddr>(), text.parse::<IpAddr>(), port) {
        (_, Ok(ip), _) => SocketAddr::new(ip, 8080).to_string(),
        (Ok(ip), _, Some(port)) => SocketAddr::new(ip, port).to_string(),
        (_, _, Some(port)) if host.is_empty() || host == "*" => format!("0.0.0.0:{port}"),
        (_, _, Some(port)) => format!("127.0.0.1:{port}"),
        _ => "127.0.0.1:8080".to_owned(),
    }
}

/// A network such as `10.0.0.0/8`, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, Wrong> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(ip));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        let help = "write a network such as \"10.0.0.0/8\", or one address such as \"10.0.0.7\"";
        return Err(Wrong::new(format!("{} is neither a network nor an address", shown(text)), help));
    };
    if network.trunc() == network {
        return Ok(network);
    }
    Err(Wrong::new(
        format!("{} is one address with the length of a network", shown(text)),
        format!("write \"{}\" for the whole network, or \"{}\" for the one address", network.trunc(), network.addr()),
    ))
}

/// A day: longer is a slip, and far from where nanoseconds overflow.
const MOST_MILLIS: u64 = 24 * 3_600_000;

const MOST_BYTES: u64 = 1 << 40;

#[cfg(test)]
mod tests {
    use super::*;

    fn help<T>(result: Result<T, Wrong>) -> String {
        result.err().map(|wrong| format!("{}; {}", wrong.what, wrong.help)).unwrap_or_default()
    }

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(duration("1s").unwrap(), Duration::from_secs(1));
        assert_eq!(duration("2m").unwrap(), Duration::from_secs(120));
        assert_eq!(duration("24h").unwrap(), Duration::from_secs(86_400));
        assert_eq!(help(duration("250")), "`250` has no unit; write \"250ms\", \"250s\" or \"250m\"");
        assert_eq!(help(duration("2 min")), "`2 min` is not a duration; write \"2m\"");
        assert_eq!(help(duration("250MS")), "`250MS` is not a duration; write \"250ms\"");
        assert_eq!(help(duration("0s")), "`0s` is no time at all; write at least \"1ms\"");
        assert_eq!(help(duration("25h")), "`25h` is longer than a day; write at most \"24h\"");
    }

    #[test]
    fn what_is_no_duration_is_told_how_one_is_written() {
        let general = "write a whole number and one of ms, s, m, h, such as \"250ms\" or \"90s\"";
        for text in ["", "s", "1.5s", "-1s", "1m30s", "soon", "1d", "٣s", "1us"] {
            assert_eq!(help(duration(text)), format!("{} is not a duration; {general}", shown(text)));
        }
        assert!(duration("99999999999999999999s").is_err());
        assert!(duration("9999999999999999999h").is_err());
    }

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!(size("512B").unwrap(), 512);
        assert_eq!(size("64KiB").unwrap(), 65_536);
        assert_eq!(size("1MiB").unwrap(), 1 << 20);
        assert_eq!(size("1GiB").unwrap(), 1 << 30);
        assert_eq!(help(size("1024")), "`1024` has no unit; write \"1024B\", which is \"1KiB\"");
        assert_eq!(help(size("16KB")), "`16KB` is not a size; write \"16KiB\" (a KiB is 1024 bytes)");
        assert_eq!(help(size("0B")), "`0B` is no room at all; write at least \"1B\"");
        assert_eq!(help(size("2000GiB")), "`2000GiB` is more than 1024 GiB; write a size that fits in memory");
        let general = "write a whole number and one of B, KiB, MiB, GiB, such as \"64KiB\"";
        for text in ["", "KiB", "1.5MiB", "-1B", "1TiB"] {
            assert_eq!(help(size(text)), format!("{} is not a size; {general}", shown(text)));
        }
        assert!(size("99999999999GiB").is_err());
    }

    #[test]
    fn an_address_is_an_ip_and_a_port() {
        assert!(address("127.0.0.1:8080").is_ok());
        assert!(address("[::1]:8080").is_ok());
        let meant = [
            (":8080", "0.0.0.0:8080"),
            ("*:80", "0.0.0.0:80"),
            ("8080", "127.0.0.1:8080"),
            ("localhost:9900", "127.0.0.1:9900"),
            ("10.0.0.1", "10.0.0.1:8080"),
            ("::1", "[::1]:8080"),
            ("http://127.0.0.1:81", "127.0.0.1:81"),
            ("127.0.0.1:99999", "127.0.0.1:8080"),
            ("", "127.0.0.1:8080"),
        ];
        for (text, meant) in meant {
            assert_eq!(address_meant(text), meant, "{text}");
            assert!(address(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_network_has_no_host_bits() {
        assert_eq!(network("10.0.0.0/8").unwrap().to_string(), "10.0.0.0/8");
        assert_eq!(network("10.0.0.7").unwrap().to_string(), "10.0.0.7/32");
        assert_eq!(network("::1").unwrap().to_string(), "::1/128");
        assert_eq!(
            help(network("127.0.0.1/8")),
            "`127.0.0.1/8` is one address with the length of a network; write \"127.0.0.0/8\" for the whole \
             network, or \"127.0.0.1\" for the one address"
        );
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0/"] {
            assert!(help(network(text)).contains("neither a network nor an address"), "{text}");
        }
    }
}
