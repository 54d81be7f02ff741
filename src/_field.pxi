# The fields of msgspec's structs, from C: members of an object, at a place that their class knows.

from types import MemberDescriptorType

cdef extern from "structmember.h":
    ctypedef struct PyMemberDef:
        int type
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef *d_member
    int T_OBJECT_EX


@cython.final
cdef class Field:
    """A field of a struct, read where it stands: a getattr for each cell costs more than the cell."""

    cdef readonly object owner
    cdef readonly str name
    cdef Py_ssize_t offset

    def __cinit__(self, owner, str name not None):
        found = getattr(owner, name, None) if isinstance(owner, type) else None
        if type(found) is not MemberDescriptorType or not issubclass(owner, found.__objclass__):
            raise TypeError(f"{owner!r} has no field {name}")
        if (<PyMemberDescrObject *>found).d_member.type != T_OBJECT_EX:
            raise TypeError(f"{owner!r} has no object in {name} that may be missing")
        self.owner = owner
        self.name = name
        self.offset = (<PyMemberDescrObject *>found).d_member.offset

    cdef inline object get(self, object struct):
        """Its value in a struct of the owner's type."""
        cdef PyObject *found = NULL
        if PyObject_TypeCheck(struct, <PyTypeObject *>self.owner):
            found = (<PyObject **>(<char *><PyObject *>struct + self.offset))[0]
        if found is NULL:
            raise TypeError(f"a {type(struct).__name__} has no {self.owner.__name__}.{self.name}")
        return <object>found


cdef int must_have(struct, tuple fields) except -1:
    """Refuse a struct that is made by position elsewhere than its fields are."""
    if struct.__struct_fields__[: len(fields)] != fields:
        raise TypeError(f"{struct!r} begins with other fields than {', '.join(fields)}")
    return 0
