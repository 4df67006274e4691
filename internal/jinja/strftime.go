package jinja

import (
	"fmt"
	"strings"
	"time"
)

// strftime is Python's datetime.strftime in the C locale, for a time without a
// zone.
func (st *state) strftime(layout *Str) (*Str, error) {
	var b builder
	s := layout.s
	for i := 0; i < len(s); {
		j := strings.IndexByte(s[i:], '%')
		if j < 0 || i+j+1 >= len(s) {
			b.addRange(layout, i, len(s))
			break
		}
		b.addRange(layout, i, i+j)
		start := i + j
		i = start + 1
		flag := byte(0)
		if strings.IndexByte("-_0^#", s[i]) >= 0 && i+1 < len(s) {
			flag = s[i]
			i++
		}
		field, ok := timeField(s[i], st.now)
		if !ok {
			end := i + runeOffset(s[i:], 1)
			b.addRange(layout, start, end)
			i = end
			continue
		}
		b.add(withFlag(field, flag), layout.originAt(i))
		i++
		if err := st.alloc(len(field)); err != nil {
			return nil, err
		}
	}
	return b.str(), nil
}

// withFlag applies glibc's flags: - no padding, _ spaces, ^ and # capitals.
func withFlag(field string, flag byte) string {
	numeric := strings.Trim(field, " 0123456789") == "" && field != ""
	switch {
	case flag == '-' && numeric:
		if t := strings.TrimLeft(field, " 0"); t != "" {
			return t
		}
		return "0"
	case flag == '_' && numeric:
		t := strings.TrimLeft(field[:len(field)-1], "0")
		return strings.Repeat(" ", len(field)-1-len(t)) + t + field[len(field)-1:]
	case flag == '0' && numeric:
		return strings.ReplaceAll(field, " ", "0")
	case flag == '^' || flag == '#':
		return strings.ToUpper(field)
	}
	return field
}

func timeField(c byte, t time.Time) (string, bool) {
	two := func(n int) string { return fmt.Sprintf("%02d", n) }
	hour12 := (t.Hour()+11)%12 + 1
	isoYear, isoWeek := t.ISOWeek()
	weekday := int(t.Weekday())
	switch c {
	case '%':
		return "%", true
	case 'n':
		return "\n", true
	case 't':
		return "\t", true
	case 'a':
		return t.Format("Mon"), true
	case 'A':
		return t.Format("Monday"), true
	case 'b', 'h':
		return t.Format("Jan"), true
	case 'B':
		return t.Format("January"), true
	case 'c':
		return t.Format("Mon Jan _2 15:04:05 2006"), true
	case 'C':
		return two(t.Year() / 100), true
	case 'd':
		return two(t.Day()), true
	case 'D', 'x':
		return t.Format("01/02/06"), true
	case 'e':
		return fmt.Sprintf("%2d", t.Day()), true
	case 'f':
		return fmt.Sprintf("%06d", t.Nanosecond()/1000), true
	case 'F':
		return t.Format("2006-01-02"), true
	case 'g':
		return two(isoYear % 100), true
	case 'G':
		return fmt.Sprint(isoYear), true
	case 'H':
		return two(t.Hour()), true
	case 'I':
		return two(hour12), true
	case 'j':
		return fmt.Sprintf("%03d", t.YearDay()), true
	case 'k':
		return fmt.Sprintf("%2d", t.Hour()), true
	case 'l':
		return fmt.Sprintf("%2d", hour12), true
	case 'm':
		return two(int(t.Month())), true
	case 'M':
		return two(t.Minute()), true
	case 'p':
		return t.Format("PM"), true
	case 'P':
		return t.Format("pm"), true
	case 'r':
		return t.Format("03:04:05 PM"), true
	case 'R':
		return t.Format("15:04"), true
	case 's':
		return fmt.Sprint(t.Unix()), true
	case 'S':
		return two(t.Second()), true
	case 'T', 'X':
		return t.Format("15:04:05"), true
	case 'u':
		return fmt.Sprint((weekday+6)%7 + 1), true
	case 'U':
		return two((t.YearDay() + 6 - weekday) / 7), true
	case 'V':
		return two(isoWeek), true
	case 'w':
		return fmt.Sprint(weekday), true
	case 'W':
		return two((t.YearDay() + 6 - (weekday+6)%7) / 7), true
	case 'y':
		return two(t.Year() % 100), true
	case 'Y':
		return fmt.Sprint(t.Year()), true
	case 'z', 'Z':
		return "", true
	}
	return "", false
}
