"""What ggml makes of blocks of a type: dequantise.py LIBGGML_BASE.so TYPE ELEMENTS < blocks > float32, little endian."""
import ctypes, sys

library, kind, elements = sys.argv[1:]
blocks, out = sys.stdin.buffer.read(), (ctypes.c_float * int(elements))()
dequantise = getattr(ctypes.CDLL(library), "dequantize_row_" + kind)
dequantise.argtypes = [ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64]
dequantise.restype = None
dequantise(blocks, out, int(elements))
sys.stdout.buffer.write(bytes(out))
