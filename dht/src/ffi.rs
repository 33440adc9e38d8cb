//! Every unsafe line of the crate.
//!
//! The bindings are made from newer headers than the library that Debian ships, so only calls whose
//! signatures agree in 2.4.12 and in 3.3 are used, and of the configuration only what stands before
//! the field that was inserted: see [`RawConfig`].
//!
//! OpenDHT calls back on its own threads, for as long as it likes. So what it is given to hand back is
//! a number, never a pointer: each callback looks it up in [`crate::operations`], copies what it was given,
//! sends it without waiting, and returns. What is not in the table any more is ignored.

#![allow(
    unsafe_code,
    reason = "this file is where the crate meets C; each block says why it holds"
)]

use std::ffi::{CStr, c_void};
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use opendht_sys as sys;

use crate::limits::{KEY_BYTES_MAX, KEY_VALUES_MAX};
use crate::operations::{Event, Operation, Pending, Sink, begin, forget, table};

/// Where a key lies in the DHT: OpenDHT's SHA-1 of its name.
pub type InfoHash = [u8; 20];

/// A value of OpenDHT, of which one reference is ours.
pub(crate) struct Value(NonNull<sys::dht_value>);

// SAFETY: a `dht_value` is a C++ `std::shared_ptr<Value>` on the heap; its count is atomic, and
// whoever owns this one reference may give it up on any thread.
unsafe impl Send for Value {}

impl Value {
    fn new(bytes: &[u8], user_type: Option<&CStr>) -> Option<Self> {
        // SAFETY: pointer and length are those of a live slice, which the call copies.
        let value = NonNull::new(unsafe { sys::dht_value_new(bytes.as_ptr(), bytes.len()) })?;
        if let Some(user_type) = user_type {
            // SAFETY: the value is ours alone still; the string is NUL-terminated and is copied.
            unsafe { sys::dht_value_set_user_type(value.as_ptr(), user_type.as_ptr()) };
        }
        Some(Self(value))
    }

    fn id(&self) -> u64 {
        // SAFETY: the value is live, and OpenDHT has set its id before it says that the put is done.
        unsafe { sys::dht_value_get_id(self.0.as_ptr()) }
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        // SAFETY: this is the one reference that we own, given up once.
        unsafe { sys::dht_value_unref(self.0.as_ptr()) };
    }
}

/// What a callback was given, copied. Empty if it is more than a key may hold.
fn copy(value: *const sys::dht_value) -> Option<(Vec<u8>, u64)> {
    if value.is_null() {
        return None;
    }
    // SAFETY: OpenDHT keeps the value alive during the callback.
    let (view, id) = unsafe { (sys::dht_value_get_data(value), sys::dht_value_get_id(value)) };
    if view.data.is_null() || view.size > KEY_BYTES_MAX {
        return Some((Vec::new(), id));
    }
    // SAFETY: the view is of a buffer of `size` bytes that belongs to the value and that nobody
    // changes during the callback.
    Some((unsafe { std::slice::from_raw_parts(view.data, view.size) }.to_vec(), id))
}

/// A value was found. Whether more is wanted.
fn found(value: *const sys::dht_value, is_expired: bool, number: usize) -> bool {
    let Some((bytes, id)) = copy(value) else { return true };
    let sink = table(|table| {
        let pending = table.get_mut(&number)?;
        let fits = pending.values_left > 0 && pending.bytes_left >= bytes.len();
        if fits {
            pending.values_left = pending.values_left.saturating_sub(1);
            pending.bytes_left -= bytes.len().min(pending.bytes_left);
        }
        Some((pending.sink.clone(), fits))
    });
    match sink {
        Some((sink, true)) => {
            sink.send(Event::Value { operation: Operation(number), bytes, id, is_expired });
            true
        }
        Some((sink, false)) => {
            sink.cut.fetch_add(1, Ordering::Relaxed);
            false
        }
        None => false,
    }
}

unsafe extern "C" fn on_get(value: *const sys::dht_value, user: *mut c_void) -> bool {
    catch_unwind(AssertUnwindSafe(|| found(value, false, user as usize))).unwrap_or(false)
}

unsafe extern "C" fn on_listen(
    value: *const sys::dht_value,
    is_expired: bool,
    user: *mut c_void,
) -> bool {
    let listen = || {
        // A listener lives long: its budget is the channel's alone.
        table(|table| {
            if let Some(pending) = table.get_mut(&(user as usize)) {
                (pending.values_left, pending.bytes_left) = (KEY_VALUES_MAX, KEY_BYTES_MAX);
            }
        });
        found(value, is_expired, user as usize)
    };
    catch_unwind(AssertUnwindSafe(listen)).unwrap_or(false)
}

unsafe extern "C" fn on_done(is_ok: bool, user: *mut c_void) {
    let done = || {
        let number = user as usize;
        let Some(pending) = table(|table| table.remove(&number)) else { return };
        let id = pending.value.as_ref().map_or(0, Value::id);
        pending.sink.send(Event::Done { operation: Operation(number), is_ok, id });
    };
    // A panic must not reach C++; there is nobody to tell.
    let _ = catch_unwind(AssertUnwindSafe(done));
}

unsafe extern "C" fn on_shutdown(user: *mut c_void) {
    // SAFETY: the same, for a callback without a result; `on_done` takes any number.
    unsafe { on_done(true, user) };
}

/// What the runner is configured with: as many bytes as any version may want, zeroed, of which only
/// those fields are touched that lie where they lie in every version.
///
/// In 3.3 a field was inserted behind `push_platform`; what stands before it is the same.
#[repr(C, align(16))]
struct RawConfig([u8; 4096]);

const CANARY: u8 = 0xa5;
const CANARY_FROM: usize = 2048;

const _: () = {
    assert!(offset_of!(sys::dht_node_config, network) == 20);
    assert!(offset_of!(sys::dht_runner_config, threaded) == 56);
    assert!(size_of::<sys::dht_runner_config>() < CANARY_FROM);
};

/// A configuration for a network; `None` if the library fills it in otherwise than expected.
fn config(network: u32) -> Option<RawConfig> {
    let mut raw = RawConfig([0; 4096]);
    raw.0[CANARY_FROM..].fill(CANARY);
    let config = (&raw mut raw).cast::<sys::dht_runner_config>();
    // SAFETY: the buffer is aligned for and larger than the structure of any version, and exclusively
    // ours. The call writes the structure; the fields set below lie where these bindings think (see
    // the assertions above, and the check of `threaded` below).
    unsafe {
        sys::dht_runner_config_default(config);
        (*config).dht_config.node_config.network = network;
    }
    let is_as_expected = raw.0[offset_of!(sys::dht_runner_config, threaded)] == 1
        && raw.0[CANARY_FROM..].iter().all(|byte| *byte == CANARY);
    is_as_expected.then_some(raw)
}

/// Whether the library fills a configuration in as expected.
pub fn config_is_as_expected() -> bool {
    config(0).is_some()
}

/// Why a runner did not start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFailure {
    /// The library is not the expected one.
    Foreign,
    /// It said no, with this number.
    Code(i32),
}

/// One OpenDHT node.
pub struct Runner {
    raw: NonNull<sys::dht_runner>,
    sink: Arc<Sink>,
}

// SAFETY: `dht_runner` is a C++ `DhtRunner`, whose methods lock what they touch and may be called
// from any thread; it is deleted once, by `shut_down`.
unsafe impl Send for Runner {}

/// What ends a listener.
pub struct Listening {
    operation: Operation,
    hash: InfoHash,
    token: NonNull<sys::dht_op_token>,
}

// SAFETY: a token is a C++ future on the heap that nobody else touches.
unsafe impl Send for Listening {}

impl Runner {
    /// A node on this UDP port, or on one of its own choice if that is 0.
    pub fn start(port: u16, network: u32, sink: Arc<Sink>) -> Result<Self, StartFailure> {
        let config = config(network).ok_or(StartFailure::Foreign)?;
        // SAFETY: it takes nothing and gives a runner that is ours, or null.
        let raw = NonNull::new(unsafe { sys::dht_runner_new() }).ok_or(StartFailure::Foreign)?;
        let config = (&raw const config).cast::<sys::dht_runner_config>();
        // SAFETY: runner and configuration are live; the configuration is read during the call only.
        let code = unsafe { sys::dht_runner_run_config(raw.as_ptr(), port, config) };
        if code == 0 {
            return Ok(Self { raw, sink });
        }
        // SAFETY: it is ours and has not started, so nothing calls back.
        unsafe { sys::dht_runner_delete(raw.as_ptr()) };
        Err(StartFailure::Code(code))
    }

    /// The port that it has, IPv4.
    pub fn port(&self) -> u16 {
        let family = libc::AF_INET as sys::sa_family_t;
        // SAFETY: the runner is live.
        unsafe { sys::dht_runner_get_bound_port(self.raw.as_ptr(), family) }
    }

    /// Whether it runs.
    pub fn is_running(&self) -> bool {
        // SAFETY: the runner is live.
        unsafe { sys::dht_runner_is_running(self.raw.as_ptr()) }
    }

    /// Gets to know the network through a node that is in it.
    pub fn bootstrap(&self, host: &CStr, service: &CStr) {
        // SAFETY: the runner is live, the strings are NUL-terminated and are copied.
        unsafe { sys::dht_runner_bootstrap(self.raw.as_ptr(), host.as_ptr(), service.as_ptr()) };
    }

    /// Asks for the values of a key. `None` if too much is under way.
    pub fn get(&self, hash: InfoHash) -> Option<Operation> {
        let operation = begin(&self.sink, None, KEY_VALUES_MAX, KEY_BYTES_MAX)?;
        let (hash, user) = (sys::dht_infohash { d: hash }, operation.0 as *mut c_void);
        // SAFETY: the runner is live, the hash is copied, and `user` is a number that the callbacks
        // look up; they may come at any time, on any thread, or never.
        unsafe {
            sys::dht_runner_get(
                self.raw.as_ptr(),
                &raw const hash,
                Some(on_get),
                Some(on_done),
                user,
            );
        }
        Some(operation)
    }

    /// Puts a value. A permanent one is announced until it is cancelled. `None` if too much is under
    /// way.
    pub fn put(
        &self,
        hash: InfoHash,
        bytes: &[u8],
        user_type: Option<&CStr>,
        is_permanent: bool,
    ) -> Option<Operation> {
        let value = Value::new(bytes, user_type)?;
        let raw = value.0;
        let operation = begin(&self.sink, Some(value), 0, 0)?;
        let (hash, user) = (sys::dht_infohash { d: hash }, operation.0 as *mut c_void);
        // SAFETY: as with `get`. The value is held by the table until the put is done, and the call
        // takes a reference of its own; it cannot be done, and so dropped, before the call has begun.
        unsafe {
            let (runner, hash) = (self.raw.as_ptr(), &raw const hash);
            sys::dht_runner_put(runner, hash, raw.as_ptr(), Some(on_done), user, is_permanent);
        }
        Some(operation)
    }

    /// Ends the announcing of a value that was put as permanent.
    pub fn cancel_put(&self, hash: InfoHash, id: u64) {
        let hash = sys::dht_infohash { d: hash };
        // SAFETY: the runner is live and the hash is copied.
        unsafe { sys::dht_runner_cancel_put(self.raw.as_ptr(), &raw const hash, id) };
    }

    /// Listens on a key. `None` if too much is under way.
    pub fn listen(&self, hash: InfoHash) -> Option<Listening> {
        let operation = begin(&self.sink, None, KEY_VALUES_MAX, KEY_BYTES_MAX)?;
        let (raw_hash, user) = (sys::dht_infohash { d: hash }, operation.0 as *mut c_void);
        // SAFETY: as with `get`.
        let token = unsafe {
            let (runner, hash) = (self.raw.as_ptr(), &raw const raw_hash);
            sys::dht_runner_listen(runner, hash, Some(on_listen), Some(on_shutdown), user)
        };
        let Some(token) = NonNull::new(token) else {
            forget(operation);
            return None;
        };
        Some(Listening { operation, hash, token })
    }

    /// Ends a listener.
    pub fn cancel_listen(&self, listening: &Listening) {
        forget(listening.operation);
        let hash = sys::dht_infohash { d: listening.hash };
        // SAFETY: runner and token are live; the hash is copied.
        unsafe {
            sys::dht_runner_cancel_listen(
                self.raw.as_ptr(),
                &raw const hash,
                listening.token.as_ptr(),
            );
        }
    }

    /// Asks it to end; the operation is done when it has.
    pub fn begin_shutdown(&self) -> Option<Operation> {
        let operation = begin(&self.sink, None, 0, 0)?;
        // SAFETY: as with `get`.
        unsafe {
            let user = operation.0 as *mut c_void;
            sys::dht_runner_shutdown(self.raw.as_ptr(), Some(on_shutdown), user);
        }
        Some(operation)
    }

    /// Deletes it. That joins its threads, and so may take long.
    pub fn delete(self) {
        let sink = Arc::as_ptr(&self.sink);
        // SAFETY: it is ours, and this is the only place that deletes a runner which has started.
        unsafe { sys::dht_runner_delete(self.raw.as_ptr()) };
        // What it has not called back for, it never will.
        let gone: Vec<Pending> = table(|table| {
            let of_this = |pending: &mut Pending| std::ptr::eq(Arc::as_ptr(&pending.sink), sink);
            table.extract_if(|_, pending| of_this(pending)).map(|(_, pending)| pending).collect()
        });
        drop(gone);
    }
}

impl Listening {
    /// What its values are of.
    pub fn operation(&self) -> Operation {
        self.operation
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        forget(self.operation);
        // SAFETY: the token is ours and deleted once; OpenDHT does not keep it.
        unsafe { sys::dht_op_token_delete(self.token.as_ptr()) };
    }
}

/// The place of the key called `name`, as the linked library computes it.
pub fn infohash_of(name: &CStr) -> InfoHash {
    let mut hash = sys::dht_infohash { d: InfoHash::default() };
    // SAFETY: `hash` is a live, exclusively borrowed `dht_infohash` (twenty bytes, as in the C
    // header), which the call overwrites. `name` is NUL-terminated and outlives the call, which
    // reads it and keeps no pointer.
    unsafe { sys::dht_infohash_get_from_string(&raw mut hash, name.as_ptr()) };
    hash.d
}

/// What the linked library calls its version, such as `2.4.12`.
pub fn version() -> String {
    // SAFETY: the call takes nothing and returns null or a pointer to a string.
    let text = unsafe { sys::dht_version() };
    if text.is_null() {
        return "of unknown version".to_owned();
    }
    // SAFETY: it is not null, and the library returns a NUL-terminated literal of its own, which
    // lives as long as the process and which nobody writes to.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use std::ptr::{null, null_mut};

    use super::*;
    use crate::record::{KEY, KEY_HASH};

    #[test]
    fn the_key_of_4_x_lies_where_4_x_looks_for_it() {
        let hex: String = infohash_of(KEY).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "14d30143330e2e0e922ed4028a60ff96a59800ad");
        assert_eq!(infohash_of(KEY), KEY_HASH);
    }

    #[test]
    fn another_key_lies_elsewhere() {
        assert_ne!(infohash_of(c"good_actors"), KEY_HASH);
    }

    #[test]
    fn the_library_tells_its_version() {
        assert!(version().starts_with(|c: char| c.is_ascii_digit()), "{}", version());
    }

    #[test]
    fn the_library_fills_a_configuration_in_where_we_read_it() {
        assert!(config_is_as_expected());
    }

    #[test]
    fn a_callback_for_what_is_forgotten_does_nothing() {
        let (events, received) = crossbeam_channel::bounded(4);
        let sink = Arc::new(Sink::new(events));
        let operation = begin(&sink, None, 1, 1).unwrap();
        forget(operation);
        // SAFETY: the callbacks take any number, and no value.
        unsafe {
            on_done(true, operation.0 as *mut c_void);
            assert!(on_get(null(), operation.0 as *mut c_void));
            on_done(true, null_mut());
        }
        assert!(received.is_empty());
    }

    #[test]
    fn what_nobody_takes_is_dropped_and_counted() {
        let (events, received) = crossbeam_channel::bounded(2);
        let sink = Arc::new(Sink::new(events));
        for _ in 0..5 {
            let operation = begin(&sink, None, 1, 1).unwrap();
            // SAFETY: the callback takes any number.
            unsafe { on_done(true, operation.0 as *mut c_void) };
        }
        assert_eq!((received.len(), sink.dropped.load(Ordering::Relaxed)), (2, 3));
    }
}
