//! The second reader: byte by byte, with copies, without the parser's code.

use sentrypeer_sip::{Kind, Looks, Message};

/// What the slow reader found; the same names as the parser's methods.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Fields {
    kind: String,
    method: Vec<u8>,
    status: Option<u16>,
    request_uri: Vec<u8>,
    request_user: Option<Vec<u8>>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    vias: Vec<Vec<u8>>,
    from_user: Option<Vec<u8>>,
    from_tag: Option<Vec<u8>>,
    to_user: Option<Vec<u8>>,
    to_tag: Option<Vec<u8>>,
    contact_user: Option<Vec<u8>>,
    call_id: Option<Vec<u8>>,
    user_agent: Option<Vec<u8>>,
    cseq: (Option<u32>, Vec<u8>),
    content_length: Option<u32>,
    body: Vec<u8>,
    trailing: Vec<u8>,
    number: Vec<u8>,
}

/// The parser's answers in the same form.
pub fn of(m: &Message<'_>) -> Fields {
    let own = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
    let mut buf = [0; 128];
    Fields {
        kind: format!("{:?}", m.kind()),
        method: m.method().to_vec(),
        status: m.status(),
        request_uri: m.request_uri().to_vec(),
        request_user: own(m.request_user()),
        headers: m.headers().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
        vias: m.vias().map(<[u8]>::to_vec).collect(),
        from_user: own(m.from_user()),
        from_tag: own(m.from_tag()),
        to_user: own(m.to_user()),
        to_tag: own(m.to_tag()),
        contact_user: own(m.contact_user()),
        call_id: own(m.call_id()),
        user_agent: own(m.user_agent()),
        cseq: (m.cseq().number, m.cseq().method.to_vec()),
        content_length: m.content_length(),
        body: m.body().to_vec(),
        trailing: m.trailing().to_vec(),
        number: m.called_number(&mut buf).0.to_vec(),
    }
}

/// Reads `input`.
pub fn read(input: &[u8]) -> Fields {
    let mut fields = Fields::default();
    let mut input = input;
    let had_line_ends = input.first().is_some_and(|b| *b == b'\r' || *b == b'\n');
    while let Some(b'\r' | b'\n') = input.first() {
        input = &input[1..];
    }
    if let Some(looks) = foreign(input, had_line_ends) {
        fields.kind = format!("{:?}", Kind::NotSip(looks));
        return fields;
    }
    let (mut lines, mut body) = split_head(input);
    start_line(&mut fields, &lines[0]);
    if fields.kind == "NotSip(Other)" {
        (lines, body) = split_head(&[b"\n", input].concat());
    }
    headers(&mut fields, &lines[1..]);
    let length = fields.content_length.map_or(body.len(), |l| (l as usize).min(body.len()));
    fields.trailing = body.split_off(length);
    fields.body = body;
    number(&mut fields);
    fields
}

fn foreign(bytes: &[u8], had_line_ends: bool) -> Option<Looks> {
    if bytes.is_empty() {
        return Some(if had_line_ends { Looks::KeepAlive } else { Looks::Empty });
    }
    if bytes.iter().all(|b| b" \t\r\n\0".contains(b)) {
        return Some(if bytes.contains(&0) { Looks::KeepAlive } else { Looks::Empty });
    }
    let first = bytes[0];
    if first == b'\t' || (32..127).contains(&first) {
        return None;
    }
    let at = |i: usize| bytes.get(i).copied().unwrap_or(255);
    let tls = at(1) == 3 && at(2) < 5;
    let dtls = bytes.len() > 2 && at(1) == 254 && [253, 255].contains(&at(2));
    Some(if (20..24).contains(&first) && (tls || dtls) {
        Looks::Tls
    } else if first < 64 && bytes.len() >= 20 && bytes[4..8] == [0x21, 0x12, 0xa4, 0x42] {
        Looks::Stun
    } else if first & 0xc0 == 0x80 && bytes.len() >= 8 {
        Looks::Rtp
    } else {
        Looks::Other
    })
}

/// The start line, then header lines with their folds; and what follows the empty line.
fn split_head(input: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let mut lines: Vec<Vec<u8>> = Vec::new();
    let mut rest = input;
    while !rest.is_empty() {
        let end = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at + 1);
        let (line, next) = rest.split_at(end);
        if !lines.is_empty() && (line == b"\n" || line == b"\r\n") {
            rest = next;
            break;
        }
        if lines.len() > 1 && (line[0] == b' ' || line[0] == b'\t') {
            lines.last_mut().unwrap().extend_from_slice(line);
        } else {
            lines.push(line.to_vec());
        }
        rest = next;
    }
    let chomp = |mut line: Vec<u8>| {
        if line.pop_if(|b| *b == b'\n').is_some() {
            line.pop_if(|b| *b == b'\r');
        }
        line
    };
    (lines.into_iter().map(chomp).collect(), rest.to_vec())
}

fn start_line(fields: &mut Fields, line: &[u8]) {
    let words: Vec<&[u8]> =
        line.split(|b| *b == b' ' || *b == b'\t').filter(|w| !w.is_empty()).collect();
    let starts = |word: &[u8], with: &str| word.to_ascii_lowercase().starts_with(with.as_bytes());
    if starts(line, "http/") {
        fields.kind = "NotSip(Http)".into();
        return;
    }
    if starts(line, "sip/") {
        fields.kind = "Response".into();
        let code = words.get(1).filter(|w| w.len() == 3 && w.iter().all(u8::is_ascii_digit));
        let code: Option<u16> =
            code.map(|w| String::from_utf8(w.to_vec()).unwrap().parse().unwrap());
        fields.status = code.filter(|code| (100..700).contains(code));
        return;
    }
    let (Some(method), Some(last)) = (words.first(), words.last()) else {
        fields.kind = "NotSip(Other)".into();
        return;
    };
    let sip = words.len() > 1 && starts(last, "sip/");
    let http = words.len() > 1 && starts(last, "http/");
    let text = trim_blanks(line);
    let uri = &text[method.len()..];
    let uri = trim_blanks(if sip || http { &uri[..uri.len() - last.len()] } else { uri });
    let inner = match uri {
        [b'<', inner @ .., b'>'] | [b'<', inner @ ..] => inner,
        other => other,
    };
    let known = "INVITE ACK BYE CANCEL OPTIONS REGISTER PRACK UPDATE MESSAGE REFER PUBLISH INFO SUBSCRIBE NOTIFY";
    let known = known.split(' ').any(|k| k.as_bytes() == *method);
    let is_token = method.iter().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(b));
    let has_scheme = ["sip:", "sips:", "tel:"].iter().any(|s| starts(inner, s));
    let http_0_9 = !sip
        && [&b"GET"[..], b"HEAD", b"POST", b"PUT"].contains(method)
        && uri.first() == Some(&b'/');
    if http || http_0_9 {
        fields.kind = "NotSip(Http)".into();
    } else if sip || known || (is_token && has_scheme) {
        fields.kind = "Request".into();
    } else {
        fields.kind = "NotSip(Other)".into();
        return;
    }
    fields.method = method.to_vec();
    fields.request_uri = inner.to_vec();
    fields.request_user = user(inner);
}

fn headers(fields: &mut Fields, lines: &[Vec<u8>]) {
    for line in lines.iter().take(256) {
        let Some(colon) = line.iter().position(|b| *b == b':') else { continue };
        let (name, value) = (trim(&line[..colon]), trim(&line[colon + 1..]));
        fields.headers.push((name.to_vec(), value.to_vec()));
        if is(name, "via", "v") {
            fields.vias.push(value.to_vec());
        }
    }
    let first = |long: &str, short: &str| {
        let found = fields.headers.iter().find(|(name, _)| is(name, long, short));
        found.map(|(_, value)| value.clone())
    };
    let (from, to, contact) = (first("from", "f"), first("to", "t"), first("contact", "m"));
    let tag = |value: &Vec<u8>| tag(&address(value).1);
    let user_of = |value: &Vec<u8>| user(&address(value).0);
    let cseq = first("cseq", "");
    let length = first("content-length", "l");
    fields.call_id = first("call-id", "i");
    fields.user_agent = first("user-agent", "");
    fields.from_user = from.as_ref().and_then(user_of);
    fields.from_tag = from.as_ref().and_then(tag);
    fields.to_user = to.as_ref().and_then(user_of);
    fields.to_tag = to.as_ref().and_then(tag);
    fields.contact_user = contact.as_ref().and_then(user_of);
    fields.content_length = length.and_then(|l| digits(&l));
    if let Some(value) = cseq {
        let end = value.iter().position(|b| !b.is_ascii_digit()).unwrap_or(value.len());
        if end > 0 {
            let word = value[end..].split(|b| b" \t\r\n".contains(b)).find(|w| !w.is_empty());
            fields.cseq = (digits(&value[..end]), word.unwrap_or_default().to_vec());
        }
    }
}

fn is(name: &[u8], long: &str, short: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == long.as_bytes() || (!short.is_empty() && name == short.as_bytes())
}

fn digits(text: &[u8]) -> Option<u32> {
    let all = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    all.then(|| String::from_utf8(text.to_vec()).unwrap().parse().ok()).flatten()
}

fn trim(bytes: &[u8]) -> &[u8] {
    let is = |b: &u8| b" \t\r\n".contains(b);
    let start = bytes.iter().position(|b| !is(b)).unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| !is(b)).map_or(start, |at| at + 1);
    &bytes[start..end]
}

fn trim_blanks(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| *b != b' ' && *b != b'\t').unwrap_or(bytes.len());
    let end = bytes.iter().rposition(|b| *b != b' ' && *b != b'\t').map_or(start, |at| at + 1);
    &bytes[start..end]
}

fn scheme(uri: &[u8]) -> Option<(&'static str, usize)> {
    let uri = uri.to_ascii_lowercase();
    let found = ["sip:", "sips:", "tel:"].into_iter().find(|s| uri.starts_with(s.as_bytes()));
    found.map(|s| (s, s.len()))
}

fn user(uri: &[u8]) -> Option<Vec<u8>> {
    let (scheme, length) = scheme(uri)?;
    let rest = &uri[length..];
    if scheme == "tel:" {
        return Some(trim(rest.split(|b| *b == b';' || *b == b'?').next().unwrap()).to_vec());
    }
    let Some(at) = rest.iter().position(|b| *b == b'@') else { return Some(Vec::new()) };
    let user = rest[..at].split(|b| *b == b':').next().unwrap();
    let start = user.iter().position(|b| !b" \t\r\n".contains(b)).unwrap_or(user.len());
    Some(user[start..].to_vec())
}

/// Where the quote that opens at `open` is closed.
fn closing(bytes: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return Some(at),
            _ => at += 1,
        }
    }
    None
}

/// The URI and the header parameters of an address.
fn address(value: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let value = trim(&value[..value.len().min(4_096)]);
    let mut at = 0;
    let mut quotes = true;
    let mut after_quotes = 0;
    while scheme(value).is_none() && at < value.len() && value[at] != b'<' {
        match closing(value, at) {
            Some(close) if value[at] == b'"' && quotes => {
                if at == 0 {
                    after_quotes = close + 1;
                }
                at = close;
            }
            None if value[at] == b'"' => quotes = false,
            _ => {}
        }
        at += 1;
    }
    let ends = |bytes: &[u8], also: u8, from: usize| {
        let end = bytes[from..].iter().position(|b| *b == also || b"; \t\r\n".contains(b));
        end.map_or(bytes.len(), |end| from + end)
    };
    if scheme(value).is_some() || at == value.len() {
        let rest = if scheme(value).is_some() { value } else { &value[after_quotes..] };
        let rest = &rest[rest.iter().position(|b| !b" \t\r\n".contains(b)).unwrap_or(rest.len())..];
        let stop = rest.iter().position(|b| b"@,\"<> \t\r\n".contains(b));
        let from = stop.filter(|at| rest[*at] == b'@').unwrap_or(0);
        let end = ends(rest, b',', from);
        return (rest[..end].to_vec(), rest[end..].to_vec());
    }
    let inside = &value[at + 1..];
    if let Some(close) = inside.iter().position(|b| *b == b'>') {
        return (trim(&inside[..close]).to_vec(), inside[close + 1..].to_vec());
    }
    let blank = inside.iter().position(|b| !b" \t\r\n".contains(b)).unwrap_or(inside.len());
    let end = ends(inside, b';', inside.iter().position(|b| *b == b'@').unwrap_or(blank));
    (trim(&inside[..end]).to_vec(), inside[end..].to_vec())
}

/// The first tag with a value.
fn tag(params: &[u8]) -> Option<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    let mut at = 0;
    let mut quotes = true;
    while at < params.len() {
        let mut step = 1;
        match (params[at], closing(params, at)) {
            (b';', _) => {
                pieces.push(Vec::new());
                at += 1;
                continue;
            }
            (b'"', Some(close)) if quotes => step = close + 1 - at,
            (b'"', None) => quotes = false,
            _ => {}
        }
        pieces.last_mut().unwrap().extend_from_slice(&params[at..at + step]);
        at += step;
    }
    pieces[1..].iter().find_map(|piece| {
        let equals = piece.iter().position(|b| *b == b'=')?;
        let value = trim(&piece[equals + 1..]);
        let name = trim(&piece[..equals]);
        (name.eq_ignore_ascii_case(b"tag") && !value.is_empty()).then(|| value.to_vec())
    })
}

fn number(fields: &mut Fields) {
    if fields.kind != "Request" {
        return;
    }
    let to = fields.to_user.clone().unwrap_or_default();
    let asked = fields.request_user.clone().unwrap_or_default();
    let in_dialog = fields.to_tag.is_some() || fields.method == b"REGISTER";
    let raw = if in_dialog || asked.is_empty() { to } else { asked };
    let mut at = 0;
    while at < raw.len() && fields.number.len() < 128 {
        let hex = raw
            .get(at + 1..at + 3)
            .filter(|h| raw[at] == b'%' && h.iter().all(u8::is_ascii_hexdigit));
        let byte = hex.map(|h| u8::from_str_radix(std::str::from_utf8(h).unwrap(), 16).unwrap());
        fields.number.push(byte.unwrap_or(raw[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
}
