//! What holds for every input.

use proptest::prelude::*;

use super::generate::{any_input, mutated, soup};
use super::slow;
use sentrypeer_sip::{Address, List, Message, Name, Params, Via, parse};

/// Every part of `m` that a method can return.
fn parts<'a>(m: &Message<'a>) -> Vec<&'a [u8]> {
    let mut parts = vec![m.method(), m.request_uri(), m.reason(), m.cseq().method, m.body()];
    parts.extend([m.trailing(), m.number_user()]);
    parts.extend(
        [m.request_user(), m.from_user(), m.to_user(), m.contact_user(), m.via_host()]
            .into_iter()
            .flatten(),
    );
    parts.extend([m.from_tag(), m.to_tag(), m.call_id(), m.user_agent()].into_iter().flatten());
    parts.extend(m.headers().flat_map(|(name, value)| [name, value]));
    parts.extend(m.values(Name::Contact).flat_map(List::new));
    for address in [m.from(), m.to(), m.contact()].into_iter().flatten() {
        parts.extend([address.display, address.uri, address.params]);
        parts.extend(address.params().flat_map(|(name, value)| [Some(name), value]).flatten());
    }
    if let Some(via) = m.via() {
        parts.extend([via.protocol, via.version, via.transport, via.host, via.port, via.params]);
    }
    let uri = m.request();
    parts.extend([uri.host, uri.port, uri.params, uri.headers]);
    parts
}

proptest! {
    #[test]
    fn a_slow_reader_reads_the_same(input in any_input()) {
        prop_assert_eq!(slow::of(&parse(&input)), slow::read(&input));
    }

    #[test]
    fn parsing_twice_tells_the_same(input in any_input()) {
        let (first, second) = (parse(&input), parse(&input));
        prop_assert_eq!(first.all_anomalies(), second.all_anomalies());
        prop_assert_eq!(slow::of(&first), slow::of(&second));
    }

    #[test]
    fn every_part_lies_inside_the_input(input in any_input()) {
        let m = parse(&input);
        let bounds = input.as_ptr_range();
        for part in parts(&m) {
            let range = part.as_ptr_range();
            let inside = bounds.start <= range.start && range.end <= bounds.end;
            prop_assert!(part.is_empty() || inside);
        }
    }

    #[test]
    fn the_first_header_of_a_name_is_the_first_of_its_values(input in any_input()) {
        let m = parse(&input);
        prop_assert!(m.via_host().is_none() || m.via_host() == m.via().map(|via| via.host));
        for name in [Name::Via, Name::To, Name::Contact, Name::Expires, Name::ProxyAuthorization] {
            prop_assert_eq!(m.header(name), m.values(name).next());
        }
    }

    #[test]
    fn an_anomaly_of_the_scan_is_one_of_all(input in any_input()) {
        let m = parse(&input);
        prop_assert_eq!(m.all_anomalies() | m.anomalies(), m.all_anomalies());
    }

    #[test]
    fn the_short_way_to_a_user_finds_what_the_long_one_does(
        value in soup(),
        front in "(|a|\"b\" |[a-z]{1,14})(<sip:|sip:|<tel:|)",
    ) {
        let value = [front.as_bytes(), &value[..]].concat();
        let value: Vec<u8> = value.into_iter().filter(|byte| !b"\r\n".contains(byte)).collect();
        let message = [b"OPTIONS sip:1@h SIP/2.0\r\nTo:", &value[..], b"\r\n\r\n"].concat();
        let message = parse(&message);
        prop_assert_eq!(message.to_user(), Address::parse(value.trim_ascii()).user());
    }

    #[test]
    fn a_list_loses_no_byte_but_commas_and_white_space(value in soup()) {
        let kept = |bytes: &[u8]| bytes.iter().filter(|b| !b" \t\r\n,".contains(b)).count();
        prop_assert_eq!(List::new(&value).map(kept).sum::<usize>(), kept(&value));
    }

    #[test]
    fn parts_of_noise_never_panic(value in soup()) {
        let _ = (Via::parse(&value), Params::new(&value).count(), Params::new(&value).has(b"tag"));
        let _ = sentrypeer_sip::Uri::parse(&value).port_number();
    }

    #[test]
    fn a_message_that_was_cut_keeps_what_came_before(input in mutated(), cut in any::<prop::sample::Index>()) {
        let cut = &input[..cut.index(input.len() + 1)];
        let (whole, part) = (parse(&input), parse(cut));
        if part.body_start().is_some() {
            prop_assert_eq!(part.call_id(), whole.call_id());
            prop_assert_eq!(part.method(), whole.method());
        }
    }
}

/// What a message is rendered from.
#[derive(Clone, Debug)]
struct Parts {
    method: String,
    user: String,
    from: (String, String, String),
    vias: Vec<(String, String)>,
    call_id: String,
    cseq: u32,
    agent: Option<String>,
    body: Vec<u8>,
    style: Style,
}

/// How it is written: what may differ without changing what it says.
#[derive(Clone, Copy, Debug)]
struct Style {
    compact: bool,
    upper: bool,
    fold: bool,
    list: bool,
    bare_lf: bool,
}

impl Parts {
    fn render(&self) -> Vec<u8> {
        let style = self.style;
        let name = |long: &str, short: &str| {
            let name = if style.compact { short } else { long };
            if style.upper { name.to_uppercase() } else { name.to_owned() }
        };
        let space = if style.fold { "\n \t" } else { " " };
        let mut head = format!("{} sip:{}@pbx.example SIP/2.0\n", self.method, self.user);
        let vias: Vec<String> = self
            .vias
            .iter()
            .map(|(host, branch)| format!("SIP/2.0/UDP {host};branch={branch}"))
            .collect();
        let separator =
            if style.list { ", ".to_owned() } else { format!("\n{}: ", name("Via", "v")) };
        let (display, user, tag) = &self.from;
        head += &format!("{}: {}\n", name("Via", "v"), vias.join(&separator));
        head += &format!(
            "{}:{space}\"{display}\" <sip:{user}@h>{space};tag={tag}\n",
            name("From", "f")
        );
        head += &format!("{}:{space}<sip:{}@h>\n", name("To", "t"), self.user);
        head += &format!(
            "{}: {}\nCSeq: {}{space}{}\n",
            name("Call-ID", "i"),
            self.call_id,
            self.cseq,
            self.method
        );
        if let Some(agent) = &self.agent {
            head += &format!("User-Agent: {agent}\n");
        }
        head += &format!(
            "Max-Forwards: 70\n{}:{space}{}\n\n",
            name("Content-Length", "l"),
            self.body.len()
        );
        let head = if style.bare_lf { head } else { head.replace('\n', "\r\n") };
        [head.into_bytes(), self.body.clone()].concat()
    }
}

fn parts_strategy() -> impl Strategy<Value = Parts> {
    let style = any::<[bool; 5]>().prop_map(|[compact, upper, fold, list, bare_lf]| Style {
        compact,
        upper,
        fold,
        list,
        bare_lf,
    });
    let token = "[a-zA-Z0-9.!%*_+~-]{1,40}";
    let user = "[a-zA-Z0-9+*;&=$,?/._!~'()-]{1,24}";
    // A quoted string's inside: anything, where quotes and backslashes are hidden.
    let display = "([^\"\\\\\r\n\0]|\\\\[\"\\\\a<>]){0,20}";
    (
        prop_oneof![Just("INVITE".to_owned()), Just("OPTIONS".to_owned()), "[A-Z]{1,20}"],
        user,
        (display, user, token),
        prop::collection::vec(("[a-z][a-z0-9.-]{0,20}", token), 1..5),
        token,
        0..1_u32 << 31,
        prop::option::of("[!-~]([ -~]{0,30}[!-~])?"),
        prop::collection::vec(any::<u8>(), 0..200),
        style,
    )
        .prop_map(|(method, user, from, vias, call_id, cseq, agent, body, style)| Parts {
            method,
            user,
            from,
            vias,
            call_id,
            cseq,
            agent,
            body,
            style,
        })
}

proptest! {
    #[test]
    fn a_message_rendered_from_parts_gives_them_back(parts in parts_strategy()) {
        let bytes = parts.render();
        let m = parse(&bytes);
        prop_assert_eq!(m.method(), parts.method.as_bytes());
        prop_assert_eq!(m.request_user(), Some(parts.user.as_bytes()));
        prop_assert_eq!(m.to_user(), Some(parts.user.as_bytes()));
        prop_assert_eq!(m.from_user(), Some(parts.from.1.as_bytes()));
        prop_assert_eq!(m.from_tag(), Some(parts.from.2.as_bytes()));
        prop_assert_eq!(m.to_tag(), None);
        prop_assert_eq!(m.call_id(), Some(parts.call_id.as_bytes()));
        prop_assert_eq!(m.via_host(), Some(parts.vias[0].0.as_bytes()));
        prop_assert_eq!(m.via().unwrap().branch(), Some(parts.vias[0].1.as_bytes()));
        prop_assert_eq!(m.via_count(), parts.vias.len());
        prop_assert_eq!(m.cseq().number, Some(parts.cseq));
        prop_assert_eq!(m.cseq().method, parts.method.as_bytes());
        prop_assert_eq!(m.user_agent(), parts.agent.as_ref().map(String::as_bytes));
        prop_assert_eq!(m.body(), &parts.body[..]);
        let bare_lf = if parts.style.bare_lf { sentrypeer_sip::Anomaly::BareLf.bit() } else { 0 };
        prop_assert_eq!(m.all_anomalies().invalid, bare_lf);
    }
}
