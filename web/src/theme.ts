// Light, dark, or what the system has.

const KEY = 'hevitpose-theme';

export function startThemes(fieldset: HTMLElement): void {
  const before = kept();
  apply(before);
  for (const input of fieldset.querySelectorAll<HTMLInputElement>('input')) {
    input.checked = input.value === before;
    input.addEventListener('change', () => {
      keep(input.value);
      apply(input.value);
    });
  }
}

// Browsers that keep nothing throw.
function kept(): string {
  try {
    return localStorage.getItem(KEY) ?? 'auto';
  } catch {
    return 'auto';
  }
}

function keep(theme: string): void {
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // it holds until the page is closed
  }
}

function apply(theme: string): void {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
