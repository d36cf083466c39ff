package strictjson_test

import (
	"fmt"

	"github.com/ecosire/stocksync/internal/strictjson"
)

func Example() {
	answer, err := strictjson.Parse([]byte(`{"data":[
		{"sku":"TEA-GREEN","available":7,"note":"what nobody asks for is skipped"},
		{"sku":4006381333931,"available":7},
		{"sku":"TEA-BLACK","available":7,"AVAILABLE":0},
		{"sku":"TEA-WHITE"},
		{"sku":"TEA-RED","available":7.5}
	]}`))
	if err != nil {
		fmt.Println(err) // the answer as a whole
		return
	}
	var page, row strictjson.Row
	page.Read(answer)
	rows := page.Elements("data")
	if err := page.Err(); err != nil {
		fmt.Println(err) // likewise
		return
	}
	for _, v := range rows {
		row.Read(v)
		sku, available := row.Text("sku"), row.Int("available")
		if err := row.Err(); err != nil {
			fmt.Printf("%s: %v\n", row.Name("sku"), err) // this row only
			continue
		}
		fmt.Printf("%s: %d\n", sku, available)
	}
	// Output:
	// TEA-GREEN: 7
	// 4006381333931: "sku" is 4006381333931, not text
	// TEA-BLACK: "AVAILABLE" where "available" is expected
	// TEA-WHITE: the answer has no "available"
	// TEA-RED: "available" is 7.5, not a whole number that can be a quantity
}
