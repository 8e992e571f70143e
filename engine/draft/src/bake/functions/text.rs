//! Functions of strings.

use regex::Regex;

use super::{Given, arg, count, fits, list, number, string};
use crate::bake::value::{Value, show_number};

/// Calls a function of this file.
pub(super) fn call(name: &str, args: &[Value]) -> Option<Given> {
    Some(match name {
        "upper" => map(args, |text| text.to_uppercase()),
        "lower" => map(args, |text| text.to_lowercase()),
        "title" => map(args, title),
        "trimspace" => map(args, |text| text.trim().to_owned()),
        "chomp" => map(args, |text| text.trim_end_matches(['\r', '\n']).to_owned()),
        "strlen" => string(args, 0).map(|text| Value::count(text.chars().count())),
        "byteslen" => string(args, 0).map(|text| Value::count(text.len())),
        "reverse" if matches!(args.first(), Some(Value::List(_))) => {
            list(args, 0).map(|list| Value::List(list.iter().rev().cloned().collect()))
        }
        "reverse" => map(args, |text| text.chars().rev().collect()),
        "sanitize" => map(args, |text| {
            let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            text.chars().map(|c| if keep(c) { c } else { '_' }).collect()
        }),
        "basename" => map(args, basename),
        "dirname" => map(args, dirname),
        "trim" => two(args, |text, set| text.trim_matches(|c| set.contains(c)).to_owned()),
        "trimprefix" => two(args, |text, cut| text.strip_prefix(cut).unwrap_or(text).to_owned()),
        "trimsuffix" => two(args, |text, cut| text.strip_suffix(cut).unwrap_or(text).to_owned()),
        "replace" => replace(args),
        "regex_replace" => regex_replace(args),
        "regex" => regex(args, false),
        "regexall" => regex(args, true),
        "split" => split(args),
        "join" => join(args),
        "substr" => substr(args),
        "indent" => indent(args),
        "format" => string(args, 0)
            .and_then(|spec| format_text(&spec, args.get(1..).unwrap_or_default()))
            .map(Value::plain),
        "formatlist" => format_list(args),
        _ => return None,
    })
}

fn map(args: &[Value], work: impl FnOnce(&str) -> String) -> Given {
    string(args, 0).map(|text| Value::plain(work(&text)))
}

fn two(args: &[Value], work: impl FnOnce(&str, &str) -> String) -> Given {
    Ok(Value::plain(work(&string(args, 0)?, &string(args, 1)?)))
}

fn title(text: &str) -> String {
    let mut start = true;
    text.chars()
        .flat_map(|c| {
            let begins = std::mem::replace(&mut start, !(c.is_alphanumeric() || c == '_'));
            if begins { c.to_uppercase().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

fn basename(path: &str) -> String {
    match path.trim_end_matches('/').rsplit('/').next() {
        Some("") if path.starts_with('/') => "/".to_owned(),
        Some("") | None => ".".to_owned(),
        Some(last) => last.to_owned(),
    }
}

fn dirname(path: &str) -> String {
    crate::path::join(".", crate::path::folder(path))
}

fn replace(args: &[Value]) -> Given {
    let (text, from, to) = (string(args, 0)?, string(args, 1)?, string(args, 2)?);
    let count = if from.is_empty() { text.len() + 1 } else { text.matches(&from).count() };
    fits(text.len() + count * to.len())?;
    Ok(Value::plain(text.replace(&from, &to)))
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .dfa_size_limit(1 << 20)
        .build()
        .map_err(|_| "the pattern is no regular expression, or too large".to_owned())
}

fn regex_replace(args: &[Value]) -> Given {
    let (text, pattern, to) = (string(args, 0)?, compiled(&string(args, 1)?)?, string(args, 2)?);
    let (mut out, mut from) = (String::new(), 0);
    for found in pattern.captures_iter(&text) {
        let Some(whole) = found.get(0) else { continue };
        out.push_str(text.get(from..whole.start()).unwrap_or_default());
        found.expand(&to, &mut out);
        fits(out.len())?;
        from = whole.end();
    }
    out.push_str(text.get(from..).unwrap_or_default());
    Ok(Value::plain(out))
}

fn regex(args: &[Value], all: bool) -> Given {
    let (pattern, text) = (compiled(&string(args, 0)?)?, string(args, 1)?);
    let one = |found: regex::Captures<'_>| -> Value {
        let group =
            |at: usize| found.get(at).map_or(Value::Null, |part| Value::plain(part.as_str()));
        let names: Vec<&str> = pattern.capture_names().flatten().collect();
        if !names.is_empty() {
            let named = names.iter().map(|name| {
                let part = found.name(name).map_or(Value::Null, |part| Value::plain(part.as_str()));
                ((*name).to_owned(), part)
            });
            return Value::Object(named.collect());
        }
        match found.len() {
            1 => group(0),
            count => Value::List((1..count).map(group).collect()),
        }
    };
    if all {
        return Ok(Value::List(pattern.captures_iter(&text).take(10_000).map(one).collect()));
    }
    pattern.captures(&text).map(one).ok_or_else(|| "the pattern does not match".to_owned())
}

fn split(args: &[Value]) -> Given {
    let (by, text) = (string(args, 0)?, string(args, 1)?);
    Ok(Value::List(if by.is_empty() {
        text.chars().map(|c| Value::plain(c.to_string())).collect()
    } else {
        text.split(&by).map(Value::plain).collect()
    }))
}

fn join(args: &[Value]) -> Given {
    let by = string(args, 0)?;
    let mut words = Vec::new();
    for at in 1..args.len() {
        for item in list(args, at)? {
            words.push(item.string().ok_or_else(|| format!("the list holds {}", item.kind()))?);
        }
    }
    fits(words.iter().map(|word| word.len() + by.len()).sum())?;
    Ok(Value::plain(words.join(&by)))
}

fn substr(args: &[Value]) -> Given {
    let text: Vec<char> = string(args, 0)?.chars().collect();
    let (offset, length) = (number(args, 1)?, number(args, 2)?);
    let start = if offset < 0.0 { text.len() as f64 + offset } else { offset }.max(0.0) as usize;
    let rest = text.get(start.min(text.len())..).unwrap_or_default();
    let length = if length < 0.0 { rest.len() } else { (length as usize).min(rest.len()) };
    Ok(Value::plain(rest.iter().take(length).collect::<String>()))
}

fn indent(args: &[Value]) -> Given {
    let (width, text) = (count(args, 0)?, string(args, 1)?);
    let lines = text.matches('\n').count();
    fits(text.len().saturating_add(lines.saturating_mul(width)))?;
    Ok(Value::plain(
        text.replace('\n', &format!("\n{}", " ".repeat(if lines > 0 { width } else { 0 }))),
    ))
}

fn format_list(args: &[Value]) -> Given {
    let spec = string(args, 0)?;
    let rest = args.get(1..).unwrap_or_default();
    let length = rest.iter().filter_map(|arg| match arg {
        Value::List(list) => Some(list.len()),
        _ => None,
    });
    let mut out = Vec::new();
    let mut total = 0;
    for at in 0..length.max().unwrap_or(1) {
        let row = rest.iter().map(|arg| match arg {
            Value::List(list) => list.get(at).cloned().ok_or("the lists differ in length"),
            one => Ok(one.clone()),
        });
        let row: Vec<Value> = row.collect::<Result<_, _>>()?;
        let text = format_text(&spec, &row)?;
        total += text.len();
        fits(total)?;
        out.push(Value::plain(text));
    }
    Ok(Value::List(out))
}

/// One `%…` of a format.
#[derive(Default)]
struct Verb {
    minus: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

/// `format` with the verbs of cty: `%v %s %q %d %f %e %g %t %b %o %x %X %%` and `%#v`.
fn format_text(spec: &str, args: &[Value]) -> Result<String, String> {
    let mut out = String::new();
    let mut next = 0;
    let mut rest = spec.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut verb = Verb::default();
        let digits = |rest: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            let mut number = 0_usize;
            while let Some(digit) = rest.peek().and_then(|c| c.to_digit(10)) {
                rest.next();
                number = number.saturating_mul(10).saturating_add(digit as usize);
            }
            number
        };
        while let Some(flag) = rest.next_if(|c| matches!(c, '-' | '0' | '+' | ' ' | '#')) {
            verb.minus |= flag == '-';
            verb.zero |= flag == '0';
            verb.plus |= flag == '+';
        }
        verb.width = digits(&mut rest);
        if rest.next_if_eq(&'.').is_some() {
            verb.precision = Some(digits(&mut rest));
        }
        if rest.next_if_eq(&'[').is_some() {
            next = digits(&mut rest).saturating_sub(1);
            rest.next_if_eq(&']');
        }
        fits(verb.width.max(verb.precision.unwrap_or_default()))?;
        match rest.next() {
            Some('%') => out.push('%'),
            Some(letter) => {
                out.push_str(&formatted(&verb, letter, arg(args, next)?)?);
                next += 1;
            }
            None => return Err("the format ends within a `%`".to_owned()),
        }
        fits(out.len())?;
    }
    Ok(out)
}

fn formatted(verb: &Verb, letter: char, value: &Value) -> Result<String, String> {
    let number = || value.number().ok_or_else(|| format!("`%{letter}` wants a number"));
    let text = match letter {
        'v' => value.string().unwrap_or_else(|| value.json().to_string()),
        's' => value.string().ok_or("`%s` wants a string")?,
        'q' => serde_json::Value::from(value.string().ok_or("`%q` wants a string")?).to_string(),
        't' => value.bool().ok_or("`%t` wants a boolean")?.to_string(),
        'd' => show_number(number()?.trunc()),
        'f' | 'F' => format!("{:.*}", verb.precision.unwrap_or(6).min(100), number()?),
        'g' | 'G' => show_number(number()?),
        'e' | 'E' => format!("{:.*e}", verb.precision.unwrap_or(6).min(100), number()?),
        'b' => format!("{:b}", number()? as i64),
        'o' => format!("{:o}", number()? as i64),
        'x' | 'X' => {
            let text = match value {
                Value::Text(text) => text.value().bytes().map(|b| format!("{b:02x}")).collect(),
                _ => format!("{:x}", number()? as i64),
            };
            if letter == 'X' { text.to_uppercase() } else { text }
        }
        _ => return Err(format!("there is no verb `%{letter}`")),
    };
    let text = match (letter, verb.precision) {
        ('s' | 'v' | 'q', Some(most)) => text.chars().take(most).collect(),
        _ => text,
    };
    let signed = verb.plus && matches!(letter, 'd' | 'f' | 'g' | 'e') && !text.starts_with('-');
    let text = if signed { format!("+{text}") } else { text };
    let missing = verb.width.saturating_sub(text.chars().count());
    let numeric = matches!(letter, 'd' | 'f' | 'g' | 'e' | 'b' | 'o' | 'x' | 'X');
    Ok(if verb.minus {
        format!("{text}{}", " ".repeat(missing))
    } else if verb.zero && numeric {
        let sign = text.len() - text.trim_start_matches(['-', '+']).len();
        let (sign, digits) = text.split_at(sign);
        format!("{sign}{}{digits}", "0".repeat(missing))
    } else {
        format!("{}{text}", " ".repeat(missing))
    })
}
