"""Chapter 6: exercises, judge and measurements of Sora."""
