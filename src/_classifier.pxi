# The classifier: a dialect's verdict table as dictionaries, so that a verdict costs two look-ups
# and allocates nothing.

cdef object ANY_STATUS = 0
cdef object KINDS = frozenset(("succeeded", "retry", "throttled", "rejected", "fatal"))


@cython.final
cdef class Verdict:
    cdef readonly str kind
    cdef readonly str error_class

    def __cinit__(self, str kind not None, str error_class not None):
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of verdict")
        self.kind = kind
        self.error_class = error_class

    def __repr__(self):
        return f"Verdict({self.kind!r}, {self.error_class!r})"


cdef inline Verdict found(PyObject *table, object status):
    cdef PyObject *verdict = NULL
    if table is not NULL:
        verdict = PyDict_GetItem(<dict>table, status)
    return None if verdict is NULL else <Verdict>verdict


cdef inline Verdict first(PyObject *by_code, PyObject *by_type, object status):
    cdef Verdict verdict = found(by_code, status)
    return found(by_type, status) if verdict is None else verdict


@cython.final
cdef class Classifier:
    cdef dict by_key  # key -> {status: verdict}
    cdef dict by_status
    cdef Verdict unknown

    def __cinit__(self, rules):
        cdef dict shared = {}
        self.by_key = {}
        self.by_status = {}
        self.unknown = shared.setdefault(("retry", "unknown"), Verdict("retry", "unknown"))
        for status, key, kind, error_class in rules:
            verdict = shared.setdefault((kind, error_class), Verdict(kind, error_class))
            table = self.by_status if key is None else self.by_key.setdefault(key, {})
            if table.setdefault(status, verdict) is not verdict:
                raise ValueError(f"two verdicts for status {status} and key {key!r}")

    def classify(self, status, str code=None, str type=None):
        cdef PyObject *by_code = NULL
        cdef PyObject *by_type = NULL
        cdef Verdict verdict
        if code is not None:
            by_code = PyDict_GetItem(self.by_key, code)
        if type is not None:
            by_type = PyDict_GetItem(self.by_key, type)
        if by_code is not NULL or by_type is not NULL:
            verdict = first(by_code, by_type, status)
            if verdict is None:
                verdict = first(by_code, by_type, ANY_STATUS)
            if verdict is not None:
                return verdict
        return self.default(status)

    cdef Verdict default(self, object status):
        cdef PyObject *table = <PyObject *>self.by_status
        cdef int number = status
        cdef Verdict verdict = found(table, status)
        if verdict is None and number > 0:
            verdict = found(table, number // 100 * 100)
        if verdict is None:
            verdict = found(table, ANY_STATUS)
        return self.unknown if verdict is None else verdict
