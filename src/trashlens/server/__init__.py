"""What stands between visitors and the networks: limits, the gate, the journal; it knows no Gradio."""
