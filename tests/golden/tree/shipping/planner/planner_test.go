package planner

import "testing"

func TestPackItemsSplitsHeavyOrders(t *testing.T) {
	parcels, err := PackItems("o1", []Item{{SKU: "a", WeightGram: 15000}, {SKU: "b", WeightGram: 9000}, {SKU: "c", WeightGram: 4000}})
	if err != nil {
		t.Fatal(err)
	}
	if len(parcels) != 2 {
		t.Fatalf("got %d parcels, want 2", len(parcels))
	}
}

func TestPackItemsRefusesTheUnliftable(t *testing.T) {
	if _, err := PackItems("o1", []Item{{SKU: "anvil", WeightGram: 40000}}); err == nil {
		t.Fatal("no error for an anvil")
	}
}

func TestPickingRouteIsASnake(t *testing.T) {
	route := PickingRoute([]Item{{Shelf: "B1"}, {Shelf: "A2"}, {Shelf: "A1"}, {Shelf: "B2"}})
	want := []string{"A1", "A2", "B2", "B1"}
	for i := range want {
		if route[i] != want[i] {
			t.Fatalf("got %v, want %v", route, want)
		}
	}
}
