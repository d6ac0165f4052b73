"""What serving costs, measured beside what it is compared with; one module for each measurement."""
