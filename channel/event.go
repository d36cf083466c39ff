package channel

// An Event is a source's word that something may have changed. It carries no
// figures on purpose: whoever gets it reads the source, so that a lost,
// repeated, late or forged event cannot make a wrong number.
type Event struct {
	// ID and Type are the source's, for logs.
	ID, Type string
	// ProductIDs are the products that the event is about; none if it concerns
	// no stock.
	ProductIDs []string
	// OrderIDs are orders whose products the event does not name.
	OrderIDs []string
}
