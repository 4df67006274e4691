package kernel

// The assembly of all processors, wherever it is written:

//go:generate sh -c "cd _asm && go run . -out ../asm_amd64.s -stubs ../asm_amd64.go -pkg kernel"
//go:generate sh -c "cd _asm && go run . -part panels -out ../panel_amd64.s -stubs ../panel_amd64.go -pkg kernel"
//go:generate sh -c "cd _asm && go run ./attention -out ../attention_asm_amd64.s -stubs ../attention_asm_amd64.go -pkg kernel"
//go:generate sh -c "cd _asm && go run ./arm64 -part rows -out ../asm_arm64.s -stubs ../asm_arm64.go"
//go:generate sh -c "cd _asm && go run ./arm64 -part panels -out ../panel_arm64.s -stubs ../panel_arm64.go"
//go:generate sh -c "cd _asm && go run ./arm64 -part attention -out ../attention_asm_arm64.s -stubs ../attention_asm_arm64.go"
