# The gate: few at a time may pass.
#
# What asyncio.Semaphore does, but that who finds it open pays for neither a coroutine nor a look
# through a line: each request passes it, and it is hardly ever shut. A place that becomes free is
# nobody's until somebody takes it: were it kept for who waits longest, all others would have to wait
# until that one's turn comes, and a line, once there, would never end. How to wait in the line is
# said in `engine/gate`.

from collections import deque


@cython.final
cdef class Gate:
    cdef Py_ssize_t free
    cdef readonly object line
    cdef public object on_leave

    def __init__(self, Py_ssize_t places):
        self.free = places
        self.line = deque()

    def locked(self):
        return self.free == 0

    cpdef bint enter(self) noexcept:
        if self.free == 0:
            return False
        self.free -= 1
        return True

    cpdef leave(self):
        self.free += 1
        if self.line:
            self.call()
        if self.on_leave is not None:
            self.on_leave()

    cpdef call(self):
        while self.line:
            waiting = self.line.popleft()
            if not waiting.done():
                waiting.set_result(None)
                return
