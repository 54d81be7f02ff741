# The text of a template that is nothing but text around columns: nearly every prompt's.

cdef frozenset PLAIN = frozenset((str, int, float, bool))  # what str() and Jinja2 print alike


def join_pieces(tuple pieces not None, fields):
    cdef list texts = []
    cdef object piece, value
    for piece in pieces:
        # A column's name is of a class of its own.
        value = piece if type(piece) is str else fields.get(piece)
        if type(value) is not str:
            if type(value) not in PLAIN:
                return None
            value = str(value)
        texts.append(value)
    return "".join(texts)
