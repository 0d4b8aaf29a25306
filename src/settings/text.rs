//! Checks of single texts: topic names, brokers, log filters. Each says what would be accepted.

/// Longest name of a topic that Kafka takes.
const MAX_TOPIC: usize = 249;
/// A symbol has at most 16 characters, each escaped to at most 3.
const MAX_ESCAPED_SYMBOL: usize = 16 * 3;
/// What stands for the symbol in a topic template.
pub(super) const PLACEHOLDER: &str = "{symbol}";

pub(super) fn any(_: &str) -> Result<(), String> {
    Ok(())
}

pub(super) fn not_empty(text: &str) -> Result<(), String> {
    if text.trim().is_empty() { Err("must not be empty".into()) } else { Ok(()) }
}

pub(super) fn topic(name: &str) -> Result<(), String> {
    let fits = (1..=MAX_TOPIC).contains(&name.len()) && name.bytes().all(is_topic_byte) && name != "." && name != "..";
    if fits { Ok(()) } else { Err(format!("must be 1 to {MAX_TOPIC} of letters, digits and . _ -")) }
}

pub(super) fn topic_template(template: &str) -> Result<(), String> {
    if template.matches(PLACEHOLDER).count() != 1 {
        return Err(format!("must hold {PLACEHOLDER} exactly once, such as \"stock_topic.{PLACEHOLDER}\""));
    }
    let rest = template.replace(PLACEHOLDER, "");
    if !rest.bytes().all(is_topic_byte) {
        return Err(format!("must hold only letters, digits and . _ - besides {PLACEHOLDER}"));
    }
    let room = MAX_TOPIC - MAX_ESCAPED_SYMBOL;
    if rest.len() > room { Err(format!("must have at most {room} characters besides {PLACEHOLDER}")) } else { Ok(()) }
}

fn is_topic_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

/// Whether the topic could be that of some stock. Kafka takes `.` and `_` of topic names for the same.
pub(super) fn could_be_topic_of_a_stock(topic: &str, template: &str) -> bool {
    let (topic, template) = (one_separator(topic), one_separator(template));
    let Some((before, after)) = template.split_once(PLACEHOLDER) else { return false };
    let symbol = topic.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    symbol.is_some_and(|symbol| (1..=MAX_ESCAPED_SYMBOL).contains(&symbol.len()) && is_escaped_symbol(symbol))
}

/// The name with `_` for `.`: two topics whose names agree in this form cannot both exist.
pub(super) fn one_separator(name: &str) -> String {
    name.replace('.', "_")
}

fn is_escaped_symbol(text: &str) -> bool {
    let unescaped = ["_2e", "_5f", "_5e", "_3d"].iter().fold(text.to_owned(), |text, escape| text.replace(escape, "-"));
    unescaped.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-')
}

pub(super) fn group_id(text: &str) -> Result<(), String> {
    let fits = (1..=MAX_TOPIC).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(()) } else { Err(format!("must be 1 to {MAX_TOPIC} printable ASCII characters without blanks")) }
}

pub(super) fn brokers(list: &str) -> Result<(), String> {
    if list.split(',').all(is_broker) { Ok(()) } else { Err("must be host:port, several with commas between".into()) }
}

fn is_broker(broker: &str) -> bool {
    let Some((host, port)) = broker.trim().rsplit_once(':') else { return false };
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(v6) => return v6.parse::<std::net::Ipv6Addr>().is_ok() && is_port(port),
        None => host,
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !host.is_empty() && host.bytes().all(is_name) && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Longer is no log filter.
const MAX_LOG_FILTER: usize = 1_000;

/// A word alone must be a level: `tracing` itself would take a misspelt `inof` for the name of a module. It also panics on a blank
/// before letters beyond ASCII, and takes what stands in braces for a regular expression, which may need any amount of memory.
pub(super) fn log_filter(filter: &str) -> Result<(), String> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'{';
    let known = |directive: &str| {
        let (directive, alone) = (directive.trim(), !directive.contains(['=', '[']));
        // An empty text would be a level too.
        !directive.is_empty() && (!alone || directive.parse::<tracing::level_filters::LevelFilter>().is_ok())
    };
    let plain = filter.len() <= MAX_LOG_FILTER && filter.bytes().all(is_plain);
    if plain && filter.split(',').all(known) && tracing_subscriber::EnvFilter::try_new(filter).is_ok() {
        Ok(())
    } else {
        Err("must be off, error, warn, info, debug or trace, or a filter such as \"info,stockstream=debug\"".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_that_could_be_a_stocks_are_told_apart() {
        let template = "stock_topic.{symbol}";
        for taken in ["stock_topic.AAPL", "stock_topic_AAPL", "stock.topic.BRK_2eB", "stock_topic.DEAD-1"] {
            assert!(could_be_topic_of_a_stock(taken, template), "{taken}");
        }
        for free in ["stockstream_dead_letters", "stock_topic.", "stock_topic.dead", "other.AAPL"] {
            assert!(!could_be_topic_of_a_stock(free, template), "{free}");
        }
    }

    #[test]
    fn a_misspelt_level_is_not_taken_for_a_module() {
        for good in ["info", "INFO", "warn,stockstream=debug", "off"] {
            assert!(log_filter(good).is_ok(), "{good}");
        }
        for bad in ["", "inof", "stockstream", "info,stockstream=loud", "info,"] {
            assert!(log_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_filter_on_which_the_log_panics_or_fills_the_memory_is_refused() {
        let long = ["a=info"; 200].join(",");
        for bad in [" a\u{fffd},=b", "[\u{e9}]=info", "[a{b=(.{999}){999}}]=info", &long] {
            assert!(log_filter(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn brokers_need_a_host_and_a_port() {
        for good in ["localhost:9092", "a.b:1, c-d:65535", "[::1]:9092", "10.0.0.1:9092"] {
            assert!(brokers(good).is_ok(), "{good}");
        }
        for bad in
            ["", "localhost", "a:0", "a:65536", ":9092", "a:9092,", "user@host:1", "http://a:1", "[::x]:1", "a:+1"]
        {
            assert!(brokers(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_template_leaves_room_for_the_longest_symbol() {
        assert!(topic_template(&format!("{}{PLACEHOLDER}", "x".repeat(249 - 48))).is_ok());
        assert!(topic_template(&format!("{}{PLACEHOLDER}", "x".repeat(249 - 47))).is_err());
    }
}
