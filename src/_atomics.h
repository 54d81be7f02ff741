/* The few atomic operations that the core needs, as C11 atomics in static inlines.
 *
 * Why C and not Cython: memory order is the whole point, and Cython has no word for it. Why no
 * lock: a process that is killed while it holds one would wedge all others, and everything that
 * Penstock shares fits in single 64-bit words.
 *
 * Each name says its order:
 *   relaxed   the word stands alone: a counter, a cell of a histogram; it only must not tear.
 *   acquire   what was written before the word was released is seen after it is read.
 *   release   (stores, compare-and-swap, add) what was written before is seen by who acquires it.
 * A compare-and-swap that fails reads with acquire, because its caller goes on with what it read.
 *
 * PENSTOCK_STEPS makes a build for tests alone, which calls sys.penstock_step before each access, so
 * that another process can be played between any two of them.
 */
#ifndef PENSTOCK_ATOMICS_H
#define PENSTOCK_ATOMICS_H

#include <stdatomic.h>
#include <stdint.h>

/* Other processes map the same words, so an implementation with hidden locks would be no good. */
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "64-bit atomics must be lock-free");
_Static_assert(sizeof(_Atomic int64_t) == sizeof(int64_t), "an atomic word must be a plain word");

typedef _Atomic int64_t penstock_word;

#ifdef PENSTOCK_STEPS
static void step(void) {
    PyObject *hook = PySys_GetObject("penstock_step");
    if (hook != NULL && hook != Py_None) {
        Py_XDECREF(PyObject_CallNoArgs(hook));
    }
}
#else
static inline void step(void) {}
#endif

static inline int64_t load_relaxed(const penstock_word *word) {
    step();
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline int64_t load_acquire(const penstock_word *word) {
    step();
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline void store_relaxed(penstock_word *word, int64_t value) {
    step();
    atomic_store_explicit(word, value, memory_order_relaxed);
}

static inline void store_release(penstock_word *word, int64_t value) {
    step();
    atomic_store_explicit(word, value, memory_order_release);
}

static inline int64_t add_relaxed(penstock_word *word, int64_t amount) {
    step();
    return atomic_fetch_add_explicit(word, amount, memory_order_relaxed);
}

static inline int64_t add_release(penstock_word *word, int64_t amount) {
    step();
    return atomic_fetch_add_explicit(word, amount, memory_order_release);
}

/* On failure `seen` becomes what is there. Strong: a collision is then always another's move. */
static inline int compare_and_swap(penstock_word *word, int64_t *seen, int64_t value) {
    step();
    return atomic_compare_exchange_strong_explicit(
        word, seen, value, memory_order_acq_rel, memory_order_acquire);
}

/* Raises the word to at least `value`; returns whether it was lower. */
static inline int raise_to(penstock_word *word, int64_t value) {
    int64_t seen = load_acquire(word);
    while (seen < value) {
        if (compare_and_swap(word, &seen, value)) {
            return 1;
        }
    }
    return 0;
}

/* For words with a single writer: no bus lock, and never torn. Unsigned, so that it may wrap. */
static inline void add_alone(penstock_word *word, int64_t amount) {
    store_relaxed(word, (int64_t)((uint64_t)load_relaxed(word) + (uint64_t)amount));
}

/* Between the reading of several words and the check that none was being rewritten meanwhile. */
static inline void fence_acquire(void) { atomic_thread_fence(memory_order_acquire); }

/* Between the word that retires some others and the first rewriting of them. */
static inline void fence_release(void) { atomic_thread_fence(memory_order_release); }

#endif
