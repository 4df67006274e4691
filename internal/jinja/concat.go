package jinja

// Concat makes one string of several. Each part keeps its origins.
func Concat(parts ...*Str) *Str {
	var b builder
	for _, p := range parts {
		b.addStr(p)
	}
	return b.str()
}
