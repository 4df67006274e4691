package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
)

// Go's assembler has VPDPBUSD as an instruction of AVX-512 only, which processors that have it
// without AVX-512 do not know. In its place stand macros, one for each three registers, of the bytes
// that it has under AVX-VNNI. With -asmflags=-D=EVEX they are the instruction of AVX-512 again, on the same
// registers and with the same effect, so that a processor that has only that can run all the rest.
//
// The bytes, by Intel's manual (VEX.256.66.0F38.W0 50 /r):
//
//	c4   R̅ X̅ B̅ 00010   W=0 v̅v̅v̅v̅ L=1 pp=01   50   11 reg r/m
//
// where reg, with R, is the sum, v the numbers without a sign, and r/m, with B, those with one.

var dotProduct = regexp.MustCompile(`\bVPDPBUSD +Y(\d+), Y(\d+), Y(\d+)`)

// encode puts macros in place of the instructions in a file of assembly.
func encode(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	type registers [3]int
	var used []registers
	text = dotProduct.ReplaceAllFunc(text, func(line []byte) []byte {
		var r registers
		for i, n := range dotProduct.FindSubmatch(line)[1:] {
			if r[i], _ = strconv.Atoi(string(n)); r[i] > 15 {
				err = fmt.Errorf("%s cannot be encoded", line)
			}
		}
		if !slices.Contains(used, r) {
			used = append(used, r)
		}
		return fmt.Appendf(nil, "VPDPBUSD_Y%d_Y%d_Y%d", r[0], r[1], r[2])
	})
	if err != nil {
		return err
	}
	slices.SortFunc(used, func(a, b registers) int { return slices.Compare(a[:], b[:]) })
	var macros bytes.Buffer
	write := func(body func(x, w, sum int) string) {
		for _, r := range used {
			fmt.Fprintf(&macros, "#define VPDPBUSD_Y%d_Y%d_Y%d %s\n", r[0], r[1], r[2], body(r[0], r[1], r[2]))
		}
	}
	macros.WriteString("\n// See encode of _asm.\n#ifdef EVEX\n")
	write(func(x, w, sum int) string { return fmt.Sprintf("VPDPBUSD Y%d, Y%d, Y%d", x, w, sum) })
	macros.WriteString("#else\n")
	write(func(x, w, sum int) string {
		first := 0xe2 &^ (sum >> 3 << 7) &^ (x >> 3 << 5)
		return fmt.Sprintf("BYTE $0xc4; BYTE $0x%02x; BYTE $0x%02x; BYTE $0x50; BYTE $0x%02x", first, ^w&15<<3|5, 0xc0|sum&7<<3|x&7)
	})
	macros.WriteString("#endif\n")
	const behind = "#include \"textflag.h\"\n"
	at := bytes.Index(text, []byte(behind)) + len(behind)
	return os.WriteFile(name, slices.Insert(text, at, macros.Bytes()...), 0o666)
}
