package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A duration is a time in the configuration: "90s", "10m", "1h30m", "0".
// It is no number, so that a number without a unit is refused.
type duration struct{ time.Duration }

// UnmarshalText reads it.
func (d *duration) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	t, err := time.ParseDuration(s)
	if s == "" {
		t, err = 0, nil
	}
	if err != nil || t < 0 {
		return fmt.Errorf("%q is not a time, as 90s, 10m or 1h30m", s)
	}
	d.Duration = t
	return nil
}

// A byteSize is a number of bytes in the configuration: "16GB", "512 MiB".
type byteSize int64

// units of sizes, as people use them: a GB of memory is a GiB.
var units = map[string]float64{
	"": 1, "b": 1,
	"k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10,
	"m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20,
	"g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30,
	"t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40,
}

// UnmarshalText reads it.
func (n *byteSize) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(string(text))
	if s == "" {
		*n = 0
		return nil
	}
	end := strings.LastIndexAny(s, "0123456789.") + 1
	factor, known := units[strings.ToLower(strings.TrimSpace(s[end:]))]
	value, err := strconv.ParseFloat(s[:end], 64)
	if !known || err != nil || value < 0 || value*factor > math.MaxInt64/2 {
		return fmt.Errorf("%q is not a size, as 16GB or 512MiB", s)
	}
	*n = byteSize(value * factor)
	return nil
}
