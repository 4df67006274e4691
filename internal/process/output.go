package process

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"parley/internal/limits"
)

// output keeps the end of what a program prints, and all of it in a file if
// there is one. A file that has grown too large becomes FILE.old and is begun
// anew.
type output struct {
	file string

	mu   sync.Mutex
	ring []byte
	f    *os.File
	size int64
	lost bool // the file cannot be written: memory alone holds the rest
}

func newOutput(file string) *output { return &output{file: file} }

// Write never fails: a full disk must not end the program that prints.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ring = append(o.ring, b...)
	if most := limits.OutputBytes.Int(); len(o.ring) > 2*most {
		o.ring = append(o.ring[:0], o.ring[len(o.ring)-most:]...)
	}
	if o.file != "" && !o.lost {
		o.lost = o.keep(b) != nil
	}
	return len(b), nil
}

func (o *output) keep(b []byte) error {
	if o.f != nil && o.size+int64(len(b)) > limits.LogFileBytes.Int64() {
		o.f.Close()
		o.f = nil
		if err := os.Rename(o.file, o.file+".old"); err != nil {
			return err
		}
	}
	if o.f == nil {
		if err := os.MkdirAll(filepath.Dir(o.file), 0o700); err != nil {
			return err
		}
		f, err := os.OpenFile(o.file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			f.Close()
			return err
		}
		o.f, o.size = f, info.Size()
	}
	n, err := o.f.Write(b)
	o.size += int64(n)
	return err
}

// close lets go of the file until there is more to write.
func (o *output) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.f != nil {
		o.f.Close()
		o.f = nil
	}
}

// tail is the last n lines, without what would steer a terminal.
func (o *output) tail(n int) []string {
	o.mu.Lock()
	end := o.ring[max(0, len(o.ring)-limits.OutputBytes.Int()):]
	text := string(bytes.ToValidUTF8(end, []byte("\ufffd")))
	o.mu.Unlock()
	var lines []string
	for line := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' || r == 0x7f {
				return -1
			}
			return r
		}, line)
		if strings.TrimSpace(line) != "" {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-n):]
}
