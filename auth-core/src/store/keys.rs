//! The keys that seal what is stored.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305, XNonce};
use data_encoding::{BASE64_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};
use hmac::{Hmac, Mac as _};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use super::error::StoreError;
use super::key_error::KeyError;
use super::private_file::{self, NotPrivate, Others};
use super::seal::{Seal, Unreadable};
use crate::secret::Secret;

/// The keys that seal what is stored, and name it.
///
/// A key is 32 random bytes. What is stored is sealed with XChaCha20-Poly1305, under a random nonce
/// and bound to what it is and whose. The names are HMAC-SHA256 of the identities, so that who
/// reads the store learns no account. For each purpose a key of its own is derived.
///
/// A passphrase is no key, and is refused.
///
/// # Rotation
/// The first key seals, and all open. The *last* one names, so that the entries keep their names
/// when a new key is put before the old ones. When the old key is taken away, the entries get new
/// names: each identity logs in once more. Those that still have the old key count their logins
/// apart from then on, so take it away everywhere within minutes.
///
/// ```
/// use auth_core::store::{Keys, Seal};
///
/// let old = Keys::random()?;
/// let sealed = old.seal("s1", b"context")?;
/// let keys = Keys::random()?.and(old.clone());
/// assert_eq!(keys.open(&sealed, b"context").map(|text| text.expose().len()), Ok(2));
/// assert_eq!(keys.name(b"identity"), old.name(b"identity"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A clone shares the keys. They are zeroed when the last clone is dropped, and never printed.
#[derive(Clone)]
pub struct Keys(Arc<[Key]>);

/// What is derived of one key.
#[derive(Clone)]
struct Key {
    /// Which key it is. It stands before each text that the key has sealed, and is no secret.
    id: [u8; ID],
    sealing: Zeroizing<[u8; 32]>,
    naming: Zeroizing<[u8; 32]>,
}

/// The version of the form, which is its first byte. Then come the id of the key, the nonce, and
/// the sealed text with its tag.
const FORM: u8 = 1;

/// Eight bytes, so that two keys of one user never have the same id by accident.
const ID: usize = 8;

/// The length of a nonce of `XChaCha20`.
const NONCE: usize = 24;

/// The length of a name before it is written in hex: no two of 2^64 identities share one by
/// accident.
const NAME: usize = 20;

impl Keys {
    /// One key.
    pub fn from_bytes(key: [u8; 32]) -> Self {
        Self(Arc::from([Key::new(&Zeroizing::new(key))]))
    }

    /// A new key, which this process alone has.
    ///
    /// # Errors
    /// [`KeyError::NoRandomNumbers`].
    pub fn random() -> Result<Self, KeyError> {
        Ok(Self(Arc::from([Key::new(&*draw_key()?)])))
    }

    /// One key, or several separated by commas or line breaks. Each is written as 64 hex digits, or
    /// as 32 bytes in base64, of the URL alphabet or not and padded or not. The first one seals.
    ///
    /// ```
    /// use auth_core::store::Keys;
    ///
    /// // A key of a secret manager, made with `openssl rand -hex 32`.
    /// let text = "8f1ac1c5b7f0a3a0a8a5d9e2f4b1c3d5e7f9a1b3c5d7e9f1a3b5c7d9ebfd0f21";
    /// let keys = Keys::parse(text)?;
    /// assert!(Keys::parse("correct horse battery staple").is_err());
    /// # let _ = keys;
    /// # Ok::<(), auth_core::store::KeyError>(())
    /// ```
    ///
    /// # Errors
    /// [`KeyError::Malformed`], which does not repeat the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        Self::read(text, || "the text given".to_owned())
    }

    /// The keys of an environment variable, written as for [`parse`](Self::parse).
    ///
    /// # Errors
    /// [`KeyError::NotSet`] and [`KeyError::Malformed`].
    pub fn from_env(name: impl AsRef<OsStr>) -> Result<Self, KeyError> {
        let name = name.as_ref();
        let value = std::env::var_os(name).ok_or_else(|| KeyError::NotSet {
            name: name.to_owned(),
        })?;
        let bytes = Zeroizing::new(value.into_encoded_bytes());
        // What is not Unicode is no key either.
        let text = std::str::from_utf8(&bytes).unwrap_or("");
        Self::read(text, || format!("environment variable {}", name.display()))
    }

    /// The keys of a file, written as for [`parse`](Self::parse). If the file is not there, it is
    /// made with a new key: of several processes that start at once, one makes it.
    ///
    /// On unix the file must be a regular file of this user that no other user can read, as the one
    /// that is made is. A mounted secret mostly isn't: read it, and use [`parse`](Self::parse).
    ///
    /// It blocks the thread, so it is for the start of a program.
    ///
    /// # Errors
    /// [`KeyError`], which says what is wrong with the file.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let failed = |why: NotPrivate| KeyError::of_file(path, why);
        let mut text = match read_file(path) {
            Err(NotPrivate::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                make_file(path)?;
                read_file(path).map_err(failed)?
            }
            read => read.map_err(failed)?,
        };
        // Where `make_file` can't link, the file of another process is empty for a moment.
        for _ in 0..TRIES {
            if !text.is_empty() {
                break;
            }
            thread::sleep(PAUSE);
            text = read_file(path).map_err(failed)?;
        }
        Self::read(&text, || format!("the text in file {}", path.display()))
    }

    /// These keys before older ones, which open what they have sealed and name the entries.
    pub fn and(self, older: Self) -> Self {
        let (Self(newer), Self(older)) = (self, older);
        Self(newer.iter().chain(older.iter()).cloned().collect())
    }

    /// What can be said of a sealed text without its context.
    #[cfg(any(feature = "file", feature = "redis"))]
    pub(super) fn may_open(&self, sealed: &[u8]) -> Result<(), Unreadable> {
        let id = parts(sealed)?.id;
        let is_known = self.0.iter().any(|key| key.id == id);
        is_known.then_some(()).ok_or(Unreadable::UnknownKey)
    }

    fn read(text: &str, place: impl Fn() -> String) -> Result<Self, KeyError> {
        let malformed = || KeyError::Malformed { place: place() };
        let texts = text.split([',', '\n']).map(str::trim);
        let keys = texts
            .filter(|text| !text.is_empty())
            .map(|text| decode(text).as_deref().map(Key::new));
        let keys: Arc<[Key]> = keys.collect::<Option<_>>().ok_or_else(malformed)?;
        if keys.is_empty() {
            return Err(malformed());
        }
        Ok(Self(keys))
    }
}

impl Key {
    fn new(key: &[u8; 32]) -> Self {
        let mut id = [0; ID];
        id.copy_from_slice(&derive(key, b"id of key")[..ID]);
        Self {
            id,
            sealing: derive(key, b"sealing"),
            naming: derive(key, b"naming"),
        }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.sealing).into())
    }

    /// What the text is bound to. What comes before `context` has a fixed length, so no two
    /// contexts are written alike.
    fn associated(&self, context: &[u8]) -> Vec<u8> {
        [&[FORM], &self.id[..], context].concat()
    }
}

/// A key for one purpose. The labels begin alike, so that they mean nothing to other programs that
/// have the same key.
fn derive(key: &[u8; 32], label: &[u8]) -> Zeroizing<[u8; 32]> {
    hmac(key, &[b"auth-core store 1 ", label])
}

fn hmac(key: &[u8; 32], texts: &[&[u8]]) -> Zeroizing<[u8; 32]> {
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for text in texts {
        mac.update(text);
    }
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// What comes after the version of the form.
struct Parts<'a> {
    id: [u8; ID],
    nonce: [u8; NONCE],
    /// The sealed text with its tag.
    sealed: &'a [u8],
}

fn parts(sealed: &[u8]) -> Result<Parts<'_>, Unreadable> {
    let damaged = Unreadable::Damaged;
    let (form, rest) = sealed.split_first().ok_or(damaged)?;
    match *form {
        FORM => {}
        later if later > FORM => return Err(Unreadable::LaterVersion),
        _ => return Err(damaged),
    }
    let (id, rest) = rest.split_first_chunk().ok_or(damaged)?;
    let (nonce, sealed) = rest.split_first_chunk().ok_or(damaged)?;
    Ok(Parts {
        id: *id,
        nonce: *nonce,
        sealed,
    })
}

fn draw_key() -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut key = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *key).map_err(|source| KeyError::NoRandomNumbers { source })?;
    Ok(key)
}

/// The key that is written so.
fn decode(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let mut key = Zeroizing::new([0; 32]);
    if text.len() == 64 {
        let decoded = HEXLOWER_PERMISSIVE.decode_mut(text.as_bytes(), &mut *key);
        return decoded.ok().map(|_| key);
    }
    let padding = text.len() - text.trim_end_matches('=').len();
    let mut text = Zeroizing::new(text.as_bytes()[..text.len() - padding].to_vec());
    if text.len() != 43 || padding > 1 {
        return None;
    }
    for digit in text.iter_mut() {
        *digit = match *digit {
            b'-' => b'+',
            b'_' => b'/',
            other => other,
        };
    }
    let decoded = BASE64_NOPAD.decode_mut(&text, &mut *key);
    decoded.ok().map(|_| key)
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, NotPrivate> {
    let file = private_file::open(path, Others::MustNotRead)?;
    // One allocation, because growing it would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 64));
    file.take(LONGEST as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > LONGEST {
        return Err(io::Error::other("it is too large for a list of keys").into());
    }
    // What is not UTF-8 is no key either, and not empty.
    let text = std::str::from_utf8(&bytes).unwrap_or("?");
    Ok(Zeroizing::new(text.to_owned()))
}

/// Makes the file with a new key, unless it is there by now. Each process finds it whole: it is
/// written under another name and then linked, which fails if the name is taken.
fn make_file(path: &Path) -> Result<(), KeyError> {
    let failed = |source| KeyError::File {
        path: path.to_owned(),
        source,
    };
    let key = draw_key()?;
    let mut line = Zeroizing::new([0; 65]);
    HEXLOWER.encode_mut(&*key, &mut line[..64]);
    line[64] = b'\n';
    let written = |path: &Path| {
        let mut file = private_file::create(path)?;
        let written = file.write_all(&*line).and_then(|()| file.sync_all());
        // A file without a key would be refused from now on.
        written.inspect_err(|_| drop(std::fs::remove_file(path)))
    };

    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|source| KeyError::NoRandomNumbers { source })?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", HEXLOWER.encode(&random)));
    let temporary = path.with_file_name(name);
    let made = written(&temporary).and_then(|()| std::fs::hard_link(&temporary, path));
    let _ = std::fs::remove_file(&temporary);
    let made = match made {
        // A file system without links. `create_new` still lets only one process make the file.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => written(path),
        made => made,
    };
    match made {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed(error)),
        _ => {
            if let Some(folder) = path.parent() {
                private_file::sync_folder(folder);
            }
            Ok(())
        }
    }
}

/// The longest key file, in bytes: fifty keys.
const LONGEST: usize = 4096;

/// How often a key file that is empty is read again.
const TRIES: u32 = 20;

/// How long to wait before each try. A process that makes the file writes 65 bytes meanwhile.
const PAUSE: Duration = Duration::from_millis(25);

impl Seal for Keys {
    fn name(&self, text: &[u8]) -> String {
        let name = self.0.last().map(|key| hmac(&key.naming, &[text]));
        name.map_or_else(String::new, |name| HEXLOWER.encode(&name[..NAME]))
    }

    fn seal(&self, text: &str, context: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce).map_err(|error| {
            StoreError::new("the system gives no random numbers to seal a session with")
                .with_source(error)
        })?;
        let failed = || StoreError::new("the session is too long to be sealed");
        let key = self.0.first().ok_or_else(failed)?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: &key.associated(context),
        };
        let sealed = key.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| failed())?;
        Ok([&[FORM], &key.id[..], &nonce[..], &sealed[..]].concat())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<Secret, Unreadable> {
        let damaged = Unreadable::Damaged;
        let Parts { id, nonce, sealed } = parts(sealed)?;
        let mut outcome = Err(Unreadable::UnknownKey);
        for key in self.0.iter().filter(|key| key.id == id) {
            let payload = Payload {
                msg: sealed,
                aad: &key.associated(context),
            };
            outcome = key
                .cipher()
                .decrypt(&XNonce::from(nonce), payload)
                .map_err(|_| damaged);
            if outcome.is_ok() {
                break;
            }
        }
        let text = String::from_utf8(outcome?).map_err(|error| {
            error.into_bytes().zeroize();
            damaged
        })?;
        Ok(text.into())
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONTEXT: &[u8] = b"session of ann at https://api.example";
    const TEXT: &str = "token=canary";

    fn keys(byte: u8) -> Keys {
        Keys::from_bytes([byte; 32])
    }

    fn opened(keys: &Keys, sealed: &[u8], context: &[u8]) -> Result<String, Unreadable> {
        let text = keys.open(sealed, context)?;
        Ok(text.expose().to_owned())
    }

    #[test]
    fn what_was_sealed_is_opened_by_the_same_key_and_context_only() {
        let (ours, others) = (keys(1), keys(2));
        for text in [TEXT, "", &"long".repeat(10_000)] {
            let sealed = ours.seal(text, CONTEXT).unwrap();
            assert_eq!(opened(&ours, &sealed, CONTEXT).as_deref(), Ok(text));
            assert_eq!(
                opened(&others, &sealed, CONTEXT),
                Err(Unreadable::UnknownKey)
            );
            for context in [&b""[..], &CONTEXT[1..], &[CONTEXT, b"2"].concat()] {
                assert_eq!(opened(&ours, &sealed, context), Err(Unreadable::Damaged));
            }
        }
    }

    #[test]
    fn no_two_sealed_texts_are_alike_and_none_shows_the_text() {
        let (one, two) = (keys(1).seal(TEXT, CONTEXT), keys(1).seal(TEXT, CONTEXT));
        let (one, two) = (one.unwrap(), two.unwrap());
        let nonce = 1 + ID..1 + ID + NONCE;
        assert_ne!(one[nonce.clone()], two[nonce]);
        assert!(!one.windows(6).any(|part| part == b"canary"));
        assert_eq!(one.len(), 1 + ID + NONCE + TEXT.len() + 16);
    }

    #[test]
    fn what_was_cut_off_or_flipped_is_never_opened() {
        let ours = keys(1);
        let sealed = ours.seal(TEXT, CONTEXT).unwrap();
        for length in 0..sealed.len() {
            let outcome = opened(&ours, &sealed[..length], CONTEXT);
            assert_eq!(outcome, Err(Unreadable::Damaged), "cut to {length}");
        }
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let expected = match bit / 8 {
                0 if flipped[0] > FORM => Unreadable::LaterVersion,
                1..=ID => Unreadable::UnknownKey,
                _ => Unreadable::Damaged,
            };
            assert_eq!(
                opened(&ours, &flipped, CONTEXT),
                Err(expected),
                "bit {bit} flipped"
            );
        }
    }

    #[test]
    fn what_this_version_has_sealed_is_opened_by_all_later_ones() {
        // The key is 32 times the byte 1. It was computed by another implementation.
        let sealed = "01e29091065ff9d2d6000102030405060708090a0b0c0d0e0f101112131415161757d040c45ebd38\
                      9518058cceea7d082b980660990281c61dc49ea49d";
        let sealed = HEXLOWER.decode(sealed.as_bytes()).unwrap();
        assert_eq!(opened(&keys(1), &sealed, CONTEXT).as_deref(), Ok(TEXT));
    }

    #[test]
    fn what_a_later_version_wrote_is_told_from_what_is_damaged() {
        let sealed = [FORM + 1, 0, 0];
        assert_eq!(
            opened(&keys(1), &sealed, CONTEXT),
            Err(Unreadable::LaterVersion)
        );
    }

    #[test]
    fn the_first_key_seals_all_open_and_the_last_one_names() {
        let (new, old) = (keys(1), keys(2));
        let both = new.clone().and(old.clone());
        let by_old = old.seal(TEXT, CONTEXT).unwrap();
        let by_both = both.seal(TEXT, CONTEXT).unwrap();
        assert_eq!(opened(&both, &by_old, CONTEXT).as_deref(), Ok(TEXT));
        assert_eq!(opened(&new, &by_both, CONTEXT).as_deref(), Ok(TEXT));
        assert_eq!(both.name(CONTEXT), old.name(CONTEXT));
        assert_ne!(new.name(CONTEXT), old.name(CONTEXT));
        assert_eq!(keys(3).and(both).0.len(), 3);
    }

    #[test]
    fn a_name_tells_nothing_of_its_text_and_stays() {
        let name = keys(1).name(b"ann");
        assert_eq!(
            name, "0b6141cef4faf354ea87720e7ceddea19ed0f210",
            "names changed"
        );
        assert_ne!(name, keys(1).name(b"bob"));
    }

    #[test]
    fn a_key_is_written_in_hex_or_base64_and_nothing_else_is_one() {
        let hex = "00ff".repeat(16);
        let bytes: [u8; 32] = std::array::from_fn(|at| if at % 2 == 0 { 0 } else { 0xff });
        let name = Keys::from_bytes(bytes).name(b"");
        for text in [
            hex.clone(),
            hex.to_uppercase(),
            format!("  {hex}\r\n"),
            "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8=".to_owned(),
            "AP8A_wD_AP8A_wD_AP8A_wD_AP8A_wD_AP8A_wD_AP8".to_owned(),
        ] {
            assert_eq!(Keys::parse(&text).unwrap().name(b""), name, "{text}");
        }
        let both = Keys::parse(&format!("{}, {hex}\n", "11".repeat(32))).unwrap();
        assert_eq!((both.0.len(), both.name(b"")), (2, name));
        for text in [
            String::new(),
            ",".to_owned(),
            "canary horse battery staple".to_owned(),
            hex[1..].to_owned(),
            format!("{hex}0"),
            format!("{hex},canary"),
            "g".repeat(64),
            "ä".repeat(32),
            // One bit too many.
            "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP9".to_owned(),
            "AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8A/wD/AP8==".to_owned(),
        ] {
            let error = Keys::parse(&text).unwrap_err().to_string();
            assert!(error.contains("openssl rand -hex 32"), "{error}");
            assert!(!error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        let error = Keys::from_env("AUTH_CORE_NO_SUCH_KEY").unwrap_err();
        assert!(matches!(error, KeyError::NotSet { .. }));
        assert!(error.to_string().contains("AUTH_CORE_NO_SUCH_KEY"));
    }

    #[test]
    fn rule_17_keys_are_not_printed() {
        assert_eq!(format!("{:?}", keys(0x41)), "Keys { .. }");
    }
}
