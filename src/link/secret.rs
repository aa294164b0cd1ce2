//! Passwords, keys and certificates: read from a file beside the store file, or from a systemd
//! credential of the same name. A secret is never printed.

use std::fmt;
use std::path::Path;

/// A password; its text shows in no log.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether both are the same; it takes as long wherever they differ.
    pub fn is(&self, other: &Self) -> bool {
        let (a, b) = (self.0.as_bytes(), other.0.as_bytes());
        let pairs = a.iter().zip(b.iter().cycle());
        let differences = pairs.fold(0, |sum, (a, b)| sum | (a ^ b));
        differences == 0 && a.len() == b.len()
    }

    /// The text itself, for whoever sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The bytes of a secret's file: a systemd credential of that name first, else the file relative to
/// `folder`. The error names the file and never its content.
pub fn read(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let credential = std::env::var_os("CREDENTIALS_DIRECTORY")
        .map(|credentials| Path::new(&credentials).join(name))
        .filter(|path| path.is_file());
    let path = credential.unwrap_or_else(|| folder.join(name));
    std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A password: the first line of its file.
pub fn password(folder: &Path, name: &str) -> Result<Secret, String> {
    let bytes = read(folder, name)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| format!("`{name}` is not UTF-8 text: {}", error.utf8_error()))?;
    match text.lines().next() {
        Some(line) if !line.is_empty() => Ok(Secret::new(line)),
        _ => Err(format!("`{name}` is empty; its first line is the password")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_its_first_line_and_is_never_printed() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("p"), "hunter2\nnote\n").unwrap();
        std::fs::write(folder.path().join("empty"), "\n").unwrap();
        let secret = password(folder.path(), "p").unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        assert_eq!(format!("{secret:?}"), "(secret)");
        assert!(secret.is(&Secret::new("hunter2")));
        for other in ["", "hunter", "hunter22", "hunter3"] {
            assert!(!secret.is(&Secret::new(other)) && !Secret::new(other).is(&secret));
        }
        assert!(
            password(folder.path(), "empty")
                .unwrap_err()
                .contains("empty")
        );
        assert!(
            password(folder.path(), "none")
                .unwrap_err()
                .contains("none")
        );
    }
}
