//! What a token may be used for.

use serde::{Deserialize, Serialize};

/// One thing that a token may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    /// Lists, dips, checks, events: everything that is known.
    Read = 1,
    /// Documents for firewalls and other things that block.
    Feed = 2,
    /// Changes.
    Write = 4,
    /// How the node does.
    Metrics = 8,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Feed, Self::Write, Self::Metrics];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Feed => "feed",
            Self::Write => "write",
            Self::Metrics => "metrics",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Vec<String>", try_from = "Vec<String>")]
pub struct Scopes(u8);

impl Scopes {
    /// These scopes.
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | scope as u8))
    }

    /// The scopes of a list of names with spaces or commas between them. `None` for an unknown one.
    #[must_use]
    pub fn from_names(names: &str) -> Option<Self> {
        let names = names.split([' ', ',']).filter(|name| !name.is_empty());
        names.map(Scope::from_name).collect::<Option<Vec<_>>>().map(Self::of)
    }

    /// Whether it has this one.
    #[must_use]
    pub fn has(self, scope: Scope) -> bool {
        self.0 & scope as u8 != 0
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Its scopes.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.has(*scope))
    }
}

/// The names with spaces between them, as OAuth 2 writes them (RFC 6749, section 3.3).
impl std::fmt::Display for Scopes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.iter().map(Scope::name).collect::<Vec<_>>().join(" "))
    }
}

impl From<Scopes> for Vec<String> {
    fn from(scopes: Scopes) -> Self {
        scopes.iter().map(|scope| scope.name().to_owned()).collect()
    }
}

impl TryFrom<Vec<String>> for Scopes {
    type Error = String;

    fn try_from(names: Vec<String>) -> Result<Self, String> {
        let scope = |name: &String| {
            Scope::from_name(name).ok_or_else(|| format!("there is no scope \"{name}\""))
        };
        Ok(Self::of(names.iter().map(scope).collect::<Result<Vec<_>, _>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_by_their_names_and_written_so() {
        assert_eq!(Scopes::from_names("feed, read").unwrap().to_string(), "read feed");
        assert_eq!(Scopes::from_names("read admin"), None);
        assert!(Scopes::from_names(" ,").unwrap().is_empty());
        let all = Scopes::of(Scope::ALL);
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(json, r#"["read","feed","write","metrics"]"#);
        assert_eq!(serde_json::from_str::<Scopes>(&json).unwrap(), all);
        assert!(serde_json::from_str::<Scopes>(r#"["root"]"#).is_err());
    }
}
