// What browsers do each in their own way: full screen, picture in picture, other screens, saving of data.

interface AppleVideo extends HTMLVideoElement {
  webkitEnterFullscreen?: () => void;
  webkitShowPlaybackTargetPicker?: () => void;
}

interface SavingNavigator extends Navigator {
  connection?: { readonly saveData?: boolean };
}

/** The viewer asked for few data. */
export function savesData(): boolean {
  return (navigator as SavingNavigator).connection?.saveData === true;
}

export function isFullScreen(player: HTMLElement): boolean {
  return document.fullscreenElement === player;
}

/** The whole player where that is possible, else (iPhone) the video alone. */
export function toggleFullScreen(player: HTMLElement, video: AppleVideo): void {
  if (isFullScreen(player)) void document.exitFullscreen();
  else if (document.fullscreenEnabled) player.requestFullscreen().catch(() => video.webkitEnterFullscreen?.());
  else video.webkitEnterFullscreen?.();
}

export function canPictureInPicture(video: HTMLVideoElement): boolean {
  return document.pictureInPictureEnabled === true && !video.disablePictureInPicture;
}

export function togglePictureInPicture(video: HTMLVideoElement): void {
  const change = document.pictureInPictureElement === video ? document.exitPictureInPicture() : video.requestPictureInPicture();
  change.catch(() => undefined); // Without a picture yet there is nothing to take out; the button stays.
}

/** AirPlay only: other ways need a script from elsewhere, or a stream that the other device can fetch by itself. */
export function canCast(video: AppleVideo): boolean {
  return typeof video.webkitShowPlaybackTargetPicker === 'function';
}

export function cast(video: AppleVideo): void {
  video.webkitShowPlaybackTargetPicker?.();
}
