//! A long cable: what enters one end leaves the other some time later.
//!
//! The kernel's own way is `netem`, which many kernels of virtual machines lack. Here each end of the cable is a
//! `macvtap`, a file of whole frames, and a thread carries them from one to the other.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};
use common::units::{Millis, Timestamp};

use super::{batch, succeed};

/// `O_NONBLOCK` of Linux, `asm-generic/fcntl.h`.
const NONBLOCK: i32 = 0o4000;

/// The largest frame, in bytes: 64 kB before the kernel cuts it, and what `virtio_net` puts before it.
const FRAME_BYTES_MAX: usize = 70_000;

/// What `virtio_net` puts before a frame, and what Ethernet puts before a packet.
const VIRTIO_BYTES: usize = 10;
const ETHERNET_BYTES: usize = 14;

/// Bytes of a packet that a link carries.
const MTU: usize = 1500;

/// What may be on the way in one direction, in bytes: 2 s of 100 Mbit/s. What comes then is lost.
const ON_THE_WAY_BYTES_MAX: usize = 25_000_000;

/// How many frames a `macvtap` holds until they are read: a burst of 15 MB.
const TAP_FRAMES: u32 = 10_000;

/// How often the thread looks: so much longer than asked for may a delay be.
const TICK: Duration = Duration::from_millis(1);

/// A cable in the switch, between a port of it and the host's link.
pub(super) struct Line {
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One direction of it.
struct Way {
    /// Frames in the order in which they came, and when each is due.
    waiting: VecDeque<(Timestamp, Vec<u8>)>,
    waiting_bytes: usize,
    frame: Vec<u8>,
}

impl Line {
    /// Puts the cable between the port and what was connected to it.
    pub(super) fn new(switch: &str, port: &str, by: Millis) -> Result<Self> {
        let (wire, bend) = (format!("wire-{port}"), format!("bend-{port}"));
        batch(
            switch,
            &format!(
                "link set {port} down nomaster\nlink set {port} name {wire}\nlink set {wire} up\n\
                 link add {port} mtu 1500 type veth peer name {bend}\n\
                 link set {bend} up\nlink set {port} master br0 up\n"
            ),
        )?;
        let ends = (end(switch, &wire, "near", port)?, end(switch, &bend, "far", port)?);
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let thread = thread::spawn(move || {
            let (mut there, mut back) = (Way::default(), Way::default());
            while !stop.load(Ordering::Relaxed) {
                there.carry(&ends.0, &ends.1, by);
                back.carry(&ends.1, &ends.0, by);
                thread::park_timeout(TICK);
            }
        });
        Ok(Self { stopped, thread: Some(thread) })
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Way {
    /// Lets out what is due, and takes in what is there.
    fn carry(&mut self, mut from: &File, mut to: &File, by: Millis) {
        let now = edge::now();
        while let Some((_, frame)) = self.waiting.pop_front_if(|(due, _)| *due <= now) {
            self.waiting_bytes -= frame.len();
            // A frame that finds no room is lost, as in a switch.
            fragments(&frame, |fragment| drop(to.write(fragment)));
        }
        // Nothing there is an error too; when the cable is broken for good, the test sees that nothing comes.
        while let Ok(read) = from.read(&mut self.frame) {
            if self.waiting_bytes + read <= ON_THE_WAY_BYTES_MAX {
                self.waiting_bytes += read;
                self.waiting.push_back((edge::now() + by, self.frame[..read].to_vec()));
            }
        }
    }
}

impl Default for Way {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), waiting_bytes: 0, frame: vec![0; FRAME_BYTES_MAX] }
    }
}

/// Hands on a frame as a link of MTU 1500 carries it. A `macvtap` puts the fragments of multicast datagrams together
/// (`ip_check_defrag` in `macvlan_handle_frame`); here they are taken apart again, as RFC 791, section 3.2 says.
fn fragments(frame: &[u8], mut hand_on: impl FnMut(&[u8])) {
    let Some((front, packet)) = frame.split_at_checked(VIRTIO_BYTES + ETHERNET_BYTES) else { return };
    let header_bytes = packet.first().map_or(0, |byte| usize::from(byte & 15) * 4);
    let is_ip = front.ends_with(&[8, 0]) && header_bytes >= 20;
    let Some((header, payload)) = packet.split_at_checked(header_bytes) else { return };
    if packet.len() <= MTU || !is_ip {
        return hand_on(frame);
    }
    let room = (MTU - header_bytes) / 8 * 8;
    for (index, piece) in payload.chunks(room).enumerate() {
        let offset = index * room;
        let more = u16::from(offset + piece.len() < payload.len()) << 13;
        let mut header = header.to_vec();
        header[2..4].copy_from_slice(&((header_bytes + piece.len()) as u16).to_be_bytes());
        header[6..8].copy_from_slice(&(more | (offset / 8) as u16).to_be_bytes());
        header[10..12].fill(0);
        let sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
        let sum = (sum & 0xffff) + (sum >> 16);
        header[10..12].copy_from_slice(&(!(sum + (sum >> 16)) as u16).to_be_bytes());
        hand_on(&[front, &header, piece].concat());
    }
}

/// The frames of an interface as a file.
fn end(switch: &str, interface: &str, kind: &str, port: &str) -> Result<File> {
    let name = format!("{kind}-{port}");
    let add =
        format!("link add link {interface} name {name} txqueuelen {TAP_FRAMES} type macvtap mode passthru\n");
    batch(switch, &format!("{add}link set {name} allmulticast on up\n"))
        .context("a delay needs `macvtap`")?;
    let show = format!("cat /sys/class/net/{name}/tap*/dev");
    let number = succeed(Command::new("ip").args(["netns", "exec", switch, "sh", "-c", &show]), "")?;
    let (major, minor) = number.trim().split_once(':').context("a device has two numbers")?;
    let folder = tempfile::tempdir()?;
    let node = folder.path().join("tap");
    succeed(Command::new("mknod").arg(&node).args(["c", major, minor]), "")?;
    let file = OpenOptions::new().read(true).write(true).custom_flags(NONBLOCK).open(&node);
    file.context("the frames of an interface cannot be read")
}
