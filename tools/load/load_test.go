package load

import "testing"

func TestAStampIsTheTimeInAnEvent(t *testing.T) {
	for line, want := range map[string]int64{
		`data: {"choices":[{"delta":{"content":"@1795633988123456789 "}}]}`: 1795633988123456789,
		`data: {"content":"@12 @13 "}`:                                      12,
		`data: {"content":"hello"}`:                                         -1,
		`data: {"content":"@x "}`:                                           -1,
	} {
		got, ok := stamp([]byte(line))
		if ok != (want >= 0) || ok && got.UnixNano() != want {
			t.Errorf("%s: %v, %v", line, got.UnixNano(), ok)
		}
	}
}
