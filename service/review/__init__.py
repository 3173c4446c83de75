"""What people say of inspections: the queue, their judgements, and the data set made of them."""
