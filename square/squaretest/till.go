package squaretest

import "time"

// What people at the shop do. All of it is at the main location, and of every
// variation that has the SKU.

// Quantity returns what the till shows for an SKU, rounded down. ok is false
// if no variation has it, or several, or the one that does is not tracked, or
// was never counted.
func (s *Server) Quantity(sku string) (n int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.withSKU(sku)
	if len(all) != 1 || !all[0].tracked(s.cfg.LocationID) {
		return 0, false
	}
	qty, ok := s.ledgers[place{all[0].id, s.cfg.LocationID}].quantity(s.cfg.Doubts)
	whole := qty / unit
	if qty < 0 && qty%unit != 0 {
		whole--
	}
	return int(whole), ok
}

// Stock returns the stock of a variation at a location, as Square writes it,
// or "" if there is none.
func (s *Server) Stock(id, location string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	qty, ok := s.ledgers[place{id, location}].quantity(s.cfg.Doubts)
	if !ok {
		return ""
	}
	return decimal(qty)
}

// Set is somebody who counts n units now, or corrects the stock.
func (s *Server) Set(sku string, n int) { s.enter(sku, s.now(), true, n) }

// Sell is a sale now. The till sells what it does not have, too.
func (s *Server) Sell(sku string, n int) { s.enter(sku, s.now(), false, -n) }

// SellAt is a sale that occurred before, at a till that was offline since. The
// time is by Square's clock.
func (s *Server) SellAt(sku string, n int, at time.Time) { s.enter(sku, at, false, -n) }

// Receive is a delivery that is booked in Square now.
func (s *Server) Receive(sku string, n int) { s.enter(sku, s.now(), false, n) }

func (s *Server) enter(sku string, at time.Time, isCount bool, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.withSKU(sku) {
		s.ledger(v.id, s.cfg.LocationID).add(entry{at: at, count: isCount, qty: int64(n) * unit}, s.now(), s.cfg.Doubts)
	}
}

// Put sets the row of another state than IN_STOCK, such as "WASTE" or
// "ORDERED_FROM_VENDOR", at a location.
func (s *Server) Put(sku, location, state string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.withSKU(sku) {
		l := s.ledger(v.id, location)
		l.others[state] = int64(n) * unit
		l.calculated = s.now()
	}
}

// SetAt is Set at another location.
func (s *Server) SetAt(sku, location string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.withSKU(sku) {
		s.ledger(v.id, location).add(entry{at: s.now(), count: true, qty: int64(n) * unit}, s.now(), s.cfg.Doubts)
	}
}

// Now is the time by Square's clock.
func (s *Server) Now() time.Time { return s.now() }
