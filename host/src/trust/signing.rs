//! Secret keys, and signatures made with them.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use minisign::{ErrorKind, KeyPair, PublicKey, SecretKey, SecretKeyBox};

use super::comment::Covered;
use super::key::TrustedKey;

/// How a secret key is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Password<'a> {
    /// The person is asked on the terminal.
    Ask,
    /// This one.
    Given(&'a str),
    /// The key is stored as it is.
    None,
}

/// A secret key, ready to sign.
pub struct SigningKey {
    secret: SecretKey,
    public: PublicKey,
}

/// A secret key is never printed.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public.to_base64()).finish()
    }
}

/// Why a key cannot be used or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A file cannot be read or written.
    #[error("cannot use {path}")]
    File {
        /// The file.
        path: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// What is in it is no secret key, or the password is wrong.
    #[error("{path} cannot be used as a secret key: {problem}")]
    Key {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// The signature cannot be made.
    #[error("cannot sign: {0}")]
    Sign(String),
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> KeyError + '_ {
    |source| KeyError::File { path: path.display().to_string(), source }
}

impl SigningKey {
    /// Reads a secret key that `keygen` or the stock `minisign` made.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, holds no key, or the password is wrong.
    pub fn read(path: &Path, password: Password<'_>) -> Result<Self, KeyError> {
        let text = std::fs::read_to_string(path).map_err(file_error(path))?;
        let wrong = |error: minisign::PError| KeyError::Key {
            path: path.display().to_string(),
            problem: error.to_string(),
        };
        let boxed = || SecretKeyBox::from(text.clone());
        // A key without a password tells so by itself.
        let secret = match (boxed().into_unencrypted_secret_key(), password) {
            (Ok(secret), _) => secret,
            (Err(error), _) if matches!(error.kind(), ErrorKind::Verify) => {
                return Err(KeyError::Key {
                    path: path.display().to_string(),
                    problem: "it has no password and no right checksum, as the keys of `minisign -W`; make one with a \
                              password, or with `worker plugins keygen`"
                        .to_owned(),
                });
            }
            (Err(error), Password::None) => return Err(wrong(error)),
            (Err(_), Password::Given(password)) => {
                boxed().into_secret_key(Some(password.to_owned())).map_err(wrong)?
            }
            (Err(_), Password::Ask) => boxed().into_secret_key(None).map_err(wrong)?,
        };
        let public = PublicKey::from_secret_key(&secret).map_err(wrong)?;
        Ok(Self { secret, public })
    }

    /// Makes a key, and writes its halves to `secret` (for this user alone) and `public`. Neither file may exist. Returns
    /// the public half in one line.
    ///
    /// # Errors
    ///
    /// When a file exists or cannot be written.
    pub fn generate(
        secret: &Path,
        public: &Path,
        password: Password<'_>,
    ) -> Result<String, KeyError> {
        let failed = |error: minisign::PError| KeyError::Sign(error.to_string());
        for path in [secret, public] {
            if path.exists() {
                let error = io::Error::from(io::ErrorKind::AlreadyExists);
                return Err(file_error(path)(error));
            }
        }
        let pair = match password {
            Password::Ask => KeyPair::generate_encrypted_keypair(None),
            Password::Given(password) => {
                KeyPair::generate_encrypted_keypair(Some(password.to_owned()))
            }
            Password::None => KeyPair::generate_unencrypted_keypair(),
        };
        let pair = pair.map_err(failed)?;
        let secret_text = pair.sk.to_box(Some("secret key for plugins")).map_err(failed)?;
        let public_text = pair.pk.to_box().map_err(failed)?;
        write_new(secret, 0o600, &secret_text.to_bytes())?;
        write_new(public, 0o644, &public_text.to_bytes())?;
        Ok(pair.pk.to_base64())
    }

    /// The public half.
    pub fn public(&self) -> Option<TrustedKey> {
        TrustedKey::parse(&self.public.to_base64())
    }

    /// The public half in one line.
    pub fn public_line(&self) -> String {
        self.public.to_base64()
    }

    /// Signs a component: the text of its signature file.
    ///
    /// # Errors
    ///
    /// When the system gives no random numbers.
    pub fn sign(&self, component: &[u8], covered: &Covered) -> Result<String, KeyError> {
        let comment = covered.to_string();
        let signature = minisign::sign(
            Some(&self.public),
            &self.secret,
            component,
            Some(&comment),
            Some("signature of a plugin"),
        );
        Ok(signature.map_err(|error| KeyError::Sign(error.to_string()))?.into_string())
    }
}

fn write_new(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), KeyError> {
    let writing = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    writing().map_err(file_error(path))
}
