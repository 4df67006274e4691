package macro

import (
	"strconv"
	"strings"
	"time"
)

func (x *expander) clock(name string) (string, bool) {
	now := x.v.Now
	if shift, ok := strings.CutPrefix(name, "time_utc"); ok {
		hours, err := strconv.Atoi(shift)
		if err != nil || hours < -14 || hours > 14 {
			return "", false
		}
		return now.UTC().Add(time.Duration(hours) * time.Hour).Format("3:04 PM"), true
	}
	switch name {
	case "time":
		return now.Format("3:04 PM"), true
	case "date":
		return now.Format("January 2, 2006"), true
	case "weekday":
		return now.Format("Monday"), true
	case "isotime":
		return now.Format("15:04"), true
	case "isodate":
		return now.Format("2006-01-02"), true
	case "idle_duration", "idleduration":
		return idle(x.v.Idle), true
	}
	return "", false
}

// idle says a duration as one would say it.
func idle(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "one " + unit
		}
		return strconv.Itoa(n) + " " + unit + "s"
	}
	switch {
	case d < time.Minute:
		return "a moment"
	case d < time.Hour:
		return count(int(d/time.Minute), "minute")
	case d < 24*time.Hour:
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/(24*time.Hour)), "day")
}

// moments are what stands for what in a format of Moment.js, which SillyTavern
// has; of two that begin alike the longer stands first.
var moments = []struct {
	mark string
	say  func(time.Time) string
}{
	{"YYYY", layout("2006")}, {"YY", layout("06")}, {"MMMM", layout("January")}, {"MMM", layout("Jan")}, {"MM", layout("01")}, {"M", layout("1")},
	{"DDDD", layout("002")}, {"DD", layout("02")}, {"Do", ordinal}, {"D", layout("2")}, {"dddd", layout("Monday")}, {"ddd", layout("Mon")},
	{"HH", layout("15")}, {"H", func(t time.Time) string { return strconv.Itoa(t.Hour()) }}, {"hh", layout("03")}, {"h", layout("3")},
	{"mm", layout("04")}, {"m", layout("4")}, {"ss", layout("05")}, {"s", layout("5")}, {"A", layout("PM")}, {"a", layout("pm")},
	{"ZZ", layout("-0700")}, {"Z", layout("-07:00")}, {"X", func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }},
	{"LTS", layout("3:04:05 PM")}, {"LT", layout("3:04 PM")}, {"LLLL", layout("Monday, January 2, 2006 3:04 PM")},
	{"LLL", layout("January 2, 2006 3:04 PM")}, {"LL", layout("January 2, 2006")}, {"L", layout("01/02/2006")},
}

func layout(l string) func(time.Time) string {
	return func(t time.Time) string { return t.Format(l) }
}

// moment says a time in a format of Moment.js. Text in brackets stays as it is,
// and so does what stands for nothing.
func moment(t time.Time, format string) string {
	var b strings.Builder
next:
	for format != "" {
		if text, rest, ok := strings.Cut(format[1:], "]"); ok && format[0] == '[' {
			b.WriteString(text)
			format = rest
			continue
		}
		for _, m := range moments {
			if rest, ok := strings.CutPrefix(format, m.mark); ok {
				b.WriteString(m.say(t))
				format = rest
				continue next
			}
		}
		b.WriteByte(format[0])
		format = format[1:]
	}
	return b.String()
}

// ordinal says which day of the month it is.
func ordinal(t time.Time) string {
	day, ending := t.Day(), "th"
	if day/10 != 1 && day%10 >= 1 && day%10 <= 3 {
		ending = []string{"st", "nd", "rd"}[day%10-1]
	}
	return strconv.Itoa(day) + ending
}
