package chatformat

import "time"

// SetClock sets what a template takes for the current time.
func (t *Template) SetClock(now time.Time) { t.now = func() time.Time { return now } }
