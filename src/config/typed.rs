//! What is typed as one value, or stands in the environment: read, or refused with what to write instead.

use clap::error::{ContextKind, ContextValue};
use std::{fmt::Display, net::SocketAddr, ops::RangeInclusive, str::FromStr};

/// Reads a whole number of that range.
pub(super) fn number<T>(
    range: RangeInclusive<T>,
) -> impl Fn(&str) -> Result<T, String> + Clone + Send + Sync + 'static
where
    T: FromStr + PartialOrd + Display + Clone + Send + Sync + 'static,
{
    move |typed| {
        let number = typed.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| {
            format!("write a whole number from {} to {}", range.start(), range.end())
        })
    }
}

pub(super) fn bytes(typed: &str) -> Result<u64, String> {
    let why = "write a number of bytes without a unit, such as 20971520 for 20 MiB";
    typed.parse().map_err(|_| why.to_owned())
}

pub(super) fn address(typed: &str) -> Result<SocketAddr, String> {
    let why = "write an address and a port, such as 127.0.0.1:8080, [::1]:8080, or 0.0.0.0:8080 for every network";
    typed.parse().map_err(|_| why.to_owned())
}

/// Whether a flag of its own is set, as its variable says.
pub(super) fn yes_or_no(typed: &str) -> Result<bool, String> {
    match typed.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "t" | "y" => Ok(true),
        "false" | "no" | "off" | "0" | "f" | "n" => Ok(false),
        _ => Err("write true or false".to_owned()),
    }
}

/// A sentence about the variable that a refused value stands in, if it stands in one.
pub fn said_in_the_environment(error: &clap::Error) -> Option<String> {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (argument, value) = (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue)?);
    let flag = argument.split([' ', '=']).next()?.trim_matches(['-', '[', ']']);
    let variable = format!("REELMAP_{}", flag.replace('-', "_").to_uppercase());
    let said = std::env::var(&variable).ok()?;
    let holds = said.split(',').any(|said| said == value);
    holds.then(|| format!("The value stands in the environment, as {variable}."))
}
