//! How much memory a case takes: an allocator that counts what a thread holds.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let held = HELD.get() + bytes;
    HELD.set(held);
    PEAK.set(PEAK.get().max(held));
}

// Safety: every call is passed on as it is; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Runs the case on this thread. Panics if it held more than `most` bytes at any moment, in addition to what was held before.
#[track_caller]
pub fn bounded<T>(most: usize, case: impl FnOnce() -> T) {
    let before = HELD.get();
    PEAK.set(before);
    case();
    let peak = PEAK.get() - before;
    assert!(peak <= most as isize, "it allocated {peak} bytes, {most} are its bound");
}

#[test]
fn the_counter_sees_what_a_case_allocates() {
    // An optimised build would leave an unused vector out.
    let allocate = |bytes: usize| drop(std::hint::black_box(vec![0_u8; bytes]));
    bounded(2_000, || allocate(1_000));
    let seen = std::panic::catch_unwind(|| bounded(2_000, || allocate(3_000)));
    assert!(seen.is_err());
}
