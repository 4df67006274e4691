package gguf

import (
	"errors"
	"fmt"
	"strconv"
)

// What can be wrong with a file as a whole, found with errors.Is.
var (
	ErrNotGGUF   = errors.New("not a GGUF file")
	ErrVersion   = errors.New("this GGUF version cannot be read")
	ErrBigEndian = errors.New("the file is big-endian, and only little-endian GGUF can be read: convert it with gguf_convert_endian.py of llama.cpp")
	ErrTruncated = errors.New("the download is incomplete, or the file was cut: fetch it again")
	ErrSplit     = errors.New("the model is split over several files: all of them must lie in one folder under the names that they were given, NAME-00001-of-00003.gguf and so on")
)

// Error says what is wrong with a file and where.
type Error struct {
	Offset uint64 // of the field, in bytes from the start of the file
	Field  string // such as metadata[3].key, tensor_infos[7].dimensions, or a metadata key
	Err    error
}

func (e *Error) Error() string {
	return fmt.Sprintf("gguf: %s at byte 0x%x: %v", e.Field, e.Offset, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// decimal writes a number with thousands separators, as people read file sizes.
func decimal(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
