"""What measured joules tell beyond pass and fail. Pure: values in, values out."""
