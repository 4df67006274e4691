package main

func panels() {
	multiplyAddsVNNI()
	for i := range kinds32 {
		k := &kinds32[i]
		for _, width := range []int{1, 2, 4} {
			panelOf(k.name, width, "AVX2", &blocks32x2{kind: k})
		}
		for _, width := range []int{1, 2, 4, 8} {
			panelOf(k.name, width, "AVXVNNI", &blocks32xVNNI{blocks32x2{kind: k}})
		}
		for _, width := range []int{1, 2, 4, 8, 12} {
			panelOf(k.name, width, "AVX512", &blocks32x512{kind: k})
		}
	}
	for i := range kinds256 {
		k := &kinds256[i]
		for _, width := range []int{1, 2, 4} {
			panelOf(k.name, width, "AVX2", &blocks256x2{kind: k})
		}
		for _, width := range []int{1, 2, 4, 6} { // two registers for each token
			panelOf(k.name, width, "AVXVNNI", &blocks256xVNNI{blocks256x2{kind: k}})
		}
		for _, width := range []int{1, 2, 4, 8, 12} {
			panelOf(k.name, width, "AVX512", &blocks256x512{kind: k})
		}
	}
}
